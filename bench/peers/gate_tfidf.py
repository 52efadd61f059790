"""TF-IDF and logistic regression by scikit-learn, trained on tests/gate/tuned.csv.

Kept by skops, whose files run no code.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from gate_messages import cases, rows

CASES = cases()
KEPT = Path(tempfile.gettempdir()) / "tfidf.skops"


def prepare() -> int:
    """Train, and keep the model; return the bytes of its file."""
    import skops.io
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = zip(*rows("tuned"), strict=True)
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression())
    skops.io.dump(model.fit(texts, labels), KEPT)
    return os.stat(KEPT).st_size


def gate() -> Callable[[str], str]:
    """Load the model, and score one message at a time."""
    import skops.io

    model = skops.io.load(KEPT)
    return lambda text: "medical" if model.predict_proba([text])[0, 1] >= 0.5 else "other"


VARIANTS = {"gate": gate}
