"""Perception: ONNX inference, metrics, overlays and real photographs."""
