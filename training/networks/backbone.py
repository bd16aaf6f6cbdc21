"""Any encoder that `transformers.AutoBackbone` knows, such as ConvNeXt, Swin, DINOv2 and ResNet."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING, AutoBackbone

from regolith.lunar.params import InputError
from regolith.lunar.params.training import portable_start
from training.networks.base import Start
from training.networks.hub import from_hub, licence_of

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Per-channel statistics [0 … 255] these encoders are fed with (torchvision, ImageNet-1k)."""
LEVELS = 4
PROBE_PX = 448
"""Side of the picture that shows strides: a multiple of every stride and patch in use (14, 16, 32)."""


class Backbone(nn.Module):
    """A backbone's feature maps; of one that keeps its resolution, as a ViT does, those of four depths."""

    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        with torch.no_grad():
            maps = self._maps(torch.zeros(1, 3, PROBE_PX, PROBE_PX))
        self.channels = tuple(m.shape[1] for m in maps)
        self.strides = tuple(PROBE_PX / m.shape[3] for m in maps)
        self.multiple = round(max(self.strides))
        """Height and width the net takes are multiples of this; pictures are enlarged to the next."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the feature maps, finest first, of pictures [N, 3, H, W]."""
        height, width = ((side + self.multiple - 1) // self.multiple * self.multiple for side in x.shape[2:])
        if 32 % self.multiple:
            x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
        return self._maps(x)

    def config(self) -> dict[str, Any]:
        """What `build_backbone` needs beside the weights."""
        config = cast(Any, self.net).config.to_dict()
        return {"backbone": {name: value for name, value in config.items() if name != "_name_or_path"}}

    def _maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        return list(cast(Any, self.net)(x).feature_maps)


def load_backbone(init: str) -> tuple[Backbone, Start]:
    """Load a backbone from the hub, its cache or a local folder.

    Raises:
        InputError: It cannot be reached, or is no backbone that gives feature maps.
    """
    where = "a backbone of transformers (AutoBackbone) in the cache, on the hub or in a local folder"

    def load(**kwargs: Any) -> nn.Module:
        config = AutoConfig.from_pretrained(init, **kwargs)
        if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
            raise ValueError(f"{config.model_type} is no backbone")
        config.out_indices = level_indices(config)
        # not AutoBackbone.from_pretrained, which asks the hub even for a folder (transformers 5.24)
        return cast(Any, MODEL_FOR_BACKBONE_MAPPING[type(config)]).from_pretrained(init, config=config, **kwargs)

    net = from_hub(load, init, where)
    try:
        return Backbone(net.eval()), Start(portable_start(init), portable_start(init), licence_of(init))
    except Exception as error:  # models fail in as many ways as there are on a picture they do not take
        raise InputError("init", init, f"{where} ({type(error).__name__}: it gives no feature maps)") from None


def build_backbone(config: dict[str, Any]) -> Backbone:
    """Build a backbone with fresh weights from the configuration a checkpoint keeps."""
    plain = AutoConfig.for_model(**config)
    return Backbone(AutoBackbone.from_config(plain).eval())


def level_indices(config: Any) -> list[int]:
    """Return the indices of the stages to use: the last four, or four evenly spread over the depth of a ViT."""
    count = len(config.stage_names) - 1  # the first is the stem
    step = max(1, count // LEVELS)
    return [count - step * k for k in reversed(range(min(LEVELS, count)))]
