#!/usr/bin/env bash
# Lines classified by what a frozen denoiser knows of them, against a linear probe and bags of words.
# figure: feedback=0.864, 0.926, 0.751 fusion=0.852, 0.908, 0.730 words=0.838, 0.899, 0.773 (seed 1, bf16)
# data: cls-trec/{train,test}.tsv cls-subj/{train,test}.tsv cls-sst2/{train,val,test}.tsv cls-agnews/train.tsv qqp/train.src
seed=${seed:-1}
run=seed-$seed${bf16:+-bf16}
device=(--threads "${threads:-0}" ${bf16:+--bf16})
{
    for set in trec subj sst2 agnews; do cut -f2- "$data/cls-$set/train.tsv"; done
    tr '[:upper:]' '[:lower:]' <"$data/qqp/train.src"
} >"$out/lines.txt"
"$infill" train --lines "$out/lines.txt" --model "$out/$run" --updates 2000 --latent 64 --width 192 --layers 6 --seed "$seed" \
    --longest 96 --spans 3 --hidden 0.2 --warm-up 500 "${device[@]}"
for set in trec subj sst2; do
    valid=()
    if [[ -f $data/cls-$set/val.tsv ]]; then valid=(--valid "$data/cls-$set/val.tsv"); fi
    echo "data=$set"
    "$probe" train --denoiser "$out/$run" --data "$data/cls-$set/train.tsv" "${valid[@]}" \
        --test "$data/cls-$set/test.tsv" --model "$out/$run-$set" --restart --seed "$seed" "${device[@]}"
done
