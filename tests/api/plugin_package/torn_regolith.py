"""A module that cannot be imported."""

raise ImportError("needs libtorn.so.3:\nnot found")
