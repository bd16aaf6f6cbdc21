"""Double of omni.replicator.core.annotators: its errors, which derive from nothing more than Exception."""


class AnnotatorRegistryError(Exception):
    """The annotator's node is in no graph."""


class AnnotatorError(Exception):
    """The annotator was never attached."""
