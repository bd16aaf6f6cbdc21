#!/bin/sh
# Train on packed splits, on whatever device PyTorch finds: scripts/train_packed.sh PACKS RUN [flags of regolith train].
# Packs named *_val select the epoch, the others are trained on. $PYTHON (default python3) has this project and torch.
set -eu
packs=$1 run=$2
shift 2
python=${PYTHON:-python3}
data="$run.data"
mkdir -p "$data/packed"
for piece in "$packs"/*.tar; do tar -xf "$piece" -C "$data/packed"; done
train='' val=''
for split in "$data/packed"/*/; do
    name=$(basename "$split")
    [ -d "$data/$name" ] || "$python" -m regolith.lunar.cli import --images "$split/images" --masks "$split/masks" \
        --classes regolith=0,rock=1,sky=2,ignore=255 --out "$data" --split "$name"
    case $name in
        *_val) val="$val,$data/$name" ;;
        *) train="$train,$data/$name" ;;
    esac
done
exec "$python" -m regolith.lunar.cli train --train-split "${train#,}" --val-split "${val#,}" --out "$run" "$@"
