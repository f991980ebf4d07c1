# Sourced by the rows that fill gaps in Multi30k's English captions: what they share, so that they differ in their
# vectors alone.

seed=${seed:-1}                       # `seed=2 ./dev results NAME` is another run
threads=${threads:-0}
device=(--threads "$threads" ${bf16:+--bf16})  # `bf16=1 ./dev results NAME` multiplies in bfloat16
run=seed-$seed${bf16:+-bf16}
model=$out/$run

# learn [ARGUMENTS]: trains the row's model; goes on where it was stopped.
learn() {
    "$infill" train --lines "$data/multi30k/train.en" --valid-lines "$data/multi30k/val.en" --model "$model" --updates 4000 \
        --longest 64 --validate-every 500 --seed "$seed" "${device[@]}" "$@"
}

# fill: how many of the words that are held back of the lines of test2016 come back, one at a time and two.
fill() {
    for words in 1 2; do
        for guidance in 1 2 4; do
            printf 'words=%s guidance=%s: ' "$words" "$guidance"
            "$infill" evaluate --model "$model" --lines "$data/multi30k/test2016.en" --words "$words" \
                --guidance "$guidance" "${device[@]}"
        done
    done
}
