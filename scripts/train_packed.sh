#!/bin/sh
# Train on packed splits, on whatever device PyTorch finds: scripts/train_packed.sh PACKS RUN [flags of regolith train].
# Splits named *_val select the epoch, those named *_train* are trained on, others are refused.
# $PYTHON (default python3) has this project and torch.
set -eu
packs=$1 run=$2
shift 2
python=${PYTHON:-python3}
refuse() {
    echo "train_packed: packs: '$1' is not allowed; allowed: splits named *_val or *_train*, none to test on" >&2
    exit 2
}
data="$run.data"
for piece in "$packs"/*.tar; do tar -tf "$piece"; done | cut -d/ -f1 | sort -u | while read -r name; do
    case $name in
        *_val) ;;
        *_train*_test* | *_train*_val*) refuse "$name" ;;
        *_train*) ;;
        *) refuse "$name" ;;
    esac
done
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
