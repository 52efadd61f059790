"""Word vectors at run time, with numpy alone: words, their vectors, and the medical score.

    vectors = WordVectors.load("folder")            # or a word2vec .bin, .vec or .txt file
    vectors.similarity("fever", "temperature")      # cosine, -1..1
    vectors.gate.score("my head hurts").probability # 0..1

Importing this package imports no numpy; loading vectors does.
"""

from fsmbot.vectors.gate import Gate, Score
from fsmbot.vectors.store import WordVectors
from fsmbot.vectors.tokens import words_of

__all__ = ["Gate", "Score", "WordVectors", "words_of"]
