"""The doctor's model as its user would load it without fsmbot: transformers and peft, one token.

python bench/peers/usual_way.py QUESTION
"""

from __future__ import annotations

import sys

from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from fsmbot.doctor.generator import SHIPPED
from fsmbot.doctor.weights import DEFAULT_BASE, quantized_folder

folder = quantized_folder(DEFAULT_BASE)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), SHIPPED)
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": sys.argv[1]}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
tokens = model.generate(**prompt, max_new_tokens=1)
print(tokenizer.decode(tokens[0][-1:]))
