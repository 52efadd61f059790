"""The doctor's model as its user would load it without fsmbot: transformers and peft, one token.

python bench/peers/usual_way.py BASE ADAPTER < QUESTION
"""

from __future__ import annotations

import sys

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": sys.stdin.readline().strip()}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
tokens = model.generate(**prompt, max_new_tokens=1)
print(tokenizer.decode(tokens[0][-1:]) or "(nothing)", flush=True)
