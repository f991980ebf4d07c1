# Sourced by the rows of Multi30k, German to English: what they share, so that they differ in nothing but what they are
# about.

texts=(--source "$data/multi30k/train.de" --target "$data/multi30k/train.en"
    --valid-source "$data/multi30k/val.de" --valid-target "$data/multi30k/val.en")
tested=(--source "$data/multi30k/test2016.de" --reference "$data/multi30k/test2016.en")
seed=${seed:-1}                       # `seed=2 ./dev results NAME` is another run
threads=${threads:-0}
device=(--threads "$threads" ${bf16:+--bf16})  # `bf16=1 ./dev results NAME` multiplies in bfloat16
run=seed-$seed${bf16:+-bf16}
model=$out/$run
budget=(--updates "${row_updates:-4000}" --validate-every 500 --hidden 768 --seed "$seed" "${device[@]}")

# learn PROGRAM [ARGUMENTS]: trains the row's model; goes on where it was stopped.
learn() { "$1" train "${texts[@]}" "${budget[@]}" --model "$model" "${@:2}"; }

# score PROGRAM [ARGUMENTS]: BLEU of the 1000 sentences of test2016.
score() { "$1" evaluate "${tested[@]}" --model "$model" "${device[@]}" "${@:2}"; }

# translate [ARGUMENTS]: what a diffusion row reports, with one candidate and with ten.
translate() {
    score "$seq2seq" "$@"
    score "$seq2seq" --length-beam 5 --noise-beam 2 "$@"
}

# translate_both: what a row of DINOISER reports: its own sampler, DDIM, and how much is left of the BLEU when every
# sentence is given another one's source.
translate_both() {
    translate --select two-level-mbr
    score "$seq2seq" --sampler ddim
    tac "$data/multi30k/test2016.de" >"$out/turned.de"
    tested=(--source "$out/turned.de" --reference "$data/multi30k/test2016.en")
    score "$seq2seq"
}
