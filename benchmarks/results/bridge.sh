#!/usr/bin/env bash
# Multi30k: DiffuSeq by many steps and few, before and after post-training with the distance penalty, and without it.
# figure: bleu=8.77 by 20 even steps, 2.23 by 2, 6.53 adaptive; with the penalty 8.78, 2.45, 7.01 (seed 1, bf16); 9.26, 3.95, 8.04; 9.96, 5.10, 8.50 (seed 2)
# data: multi30k/train.{de,en} multi30k/val.{de,en} multi30k/test2016.{de,en}
row_updates=16000
source benchmarks/results/multi30k.bash
learn "$seq2seq" --recipe diffuseq
for weight in 0 2; do  # with 0 it is as many updates more, drawn as the penalty wants them
    "$seq2seq" post-train "${texts[@]}" --updates 1000 --validate-every 250 --seed "$seed" "${device[@]}" \
        --from "$model" --model "$model-penalty-$weight" --penalty "$weight"
done
trained=$model

# by_steps STEPS...: BLEU of all three models, where steps lie evenly and by adaptive decay.
by_steps() {
    for steps in "$@"; do
        for plan in even adaptive; do
            if [[ $steps-$plan == 2000-adaptive ]]; then continue; fi  # all of the 2000, as even
            for model in "$trained" "$trained-penalty-0" "$trained-penalty-2"; do
                printf "%s steps=%s plan=%s: " "$(basename "$model")" "$steps" "$plan"
                score "$seq2seq" --steps "$steps" --plan "$plan"
            done
        done
    done
}
by_steps 2 4 5 10 20
head -n 100 "$data/multi30k/test2016.de" >"$out/some.de"
head -n 100 "$data/multi30k/test2016.en" >"$out/some.en"
tested=(--source "$out/some.de" --reference "$out/some.en")  # 2000 steps of all 1000 sentences would take hours
by_steps 2 4 5 10 20 50 100 200 1000 2000
