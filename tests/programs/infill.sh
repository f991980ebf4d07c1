#!/usr/bin/env bash
# The promises of examples/infill, held by running it: infill.sh PROGRAM. Prints what is broken, and fails then.
set -uo pipefail
# shellcheck source=tests/programs/promises.bash
source "$(dirname "$0")/promises.bash"

for colour in red green black white; do
    for thing in boat house lamp stone; do
        for place in here there; do
            echo "the $colour $thing is $place"
        done
    done
done >lines.txt
head -n 6 lines.txt >valid.txt
gzip -k lines.txt

sizes=(--tokenizer word --latent 8 --vector-width 16 --vector-epochs 20 --width 32 --layers 1 --heads 2 --longest 12
    --tokens-per-batch 64 --warm-up 10 --learning-rate 0.003 --validate-every 20 --checkpoint-minutes 0)
train=("$program" train --lines lines.txt.gz --valid-lines valid.txt "${sizes[@]}")

# A run that is interrupted and resumed ends in the bytes of one that was not; its vectors are learned once.
expect 0 "model written to whole" "${train[@]}" --model whole --updates 200
"${train[@]}" --model parts --updates 200 >log 2>&1 &
for ((i = 0; i < 600; ++i)); do
    [[ -e parts.checkpoint ]] && break
    sleep 0.02
done
kill -TERM $! 2>/dev/null
wait $!
status=$?
[[ $status == 143 ]] || say "a terminated training ended with $status, expected 143: $(cat log)"
expect 0 "vectors of an earlier run are taken from parts.vectors-" "${train[@]}" --model parts --updates 200
cmp whole parts || say "a resumed training gave another model"
for name in .inkling-*; do [[ -e $name ]] && say "left behind: $name"; done

# Filling: what is known stays, line by line, whatever the threads and the batches.
printf 'the red ___(1) is here\nthe white stone\nthe ___(2) is ___(1)\n' >gapped
"$program" fill --model whole --steps 10 <gapped >once || say "fill failed"
[[ $(wc -l <once) == 3 ]] || say "three lines in, out came: $(cat once)"
[[ $(sed -n 1p once) == "the red "*"is here" ]] || say "what is known did not stay: $(sed -n 1p once)"
[[ $(sed -n 2p once) == "the white stone" ]] || say "a line without a gap did not stay: $(sed -n 2p once)"
"$program" fill --model whole --steps 10 --threads 1 --tokens-per-batch 1 <gapped >twice
cmp once twice || say "threads or batches change the text"
sed 's/___/<gap>/g' gapped | "$program" fill --model whole --steps 10 --mark '<gap>' >thrice
cmp once thrice || say "another mark changes the text"
"$program" fill --model whole --steps 10 --guidance 1 <gapped >unguided || say "fill without guidance failed"
"$program" fill --model whole --steps 10 --bf16 <gapped >coarse.txt || say "fill --bf16 failed"
[[ $(wc -l <coarse.txt) == 3 ]] || say "three lines in, out came in bfloat16: $(cat coarse.txt)"
[[ $("$program" write --model whole --steps 10 --count 3 --rows 5 | wc -l) == 3 ]] || say "write did not write three lines"
expect 0 "lines=32 words_held_back=1" "$program" evaluate --model whole --steps 10 --lines lines.txt --words 1

# What is begun in bfloat16 is another model, and does not go on in single precision.
expect 0 "model written to coarse" "${train[@]}" --model coarse --updates 20 --bf16
expect 0 "model written to fine" "${train[@]}" --model fine --updates 20
cmp -s coarse fine && say "train --bf16 changes nothing"
expect 2 "'/device/precision' is \"bf16\" in the checkpoint" "${train[@]}" --model coarse --updates 40

# Vectors from elsewhere: those of the run before, under their name.
cp whole.vectors-* table.safetensors
expect 0 "model written to imported" "${train[@]}" --model imported --updates 2 --vectors table.safetensors --vectors-name vectors
expect 2 "--latent is 32, expected no more" "$program" train --lines lines.txt --model none --updates 1 --tokenizer word \
    --vectors table.safetensors
head -n 3 lines.txt >few.txt
expect 2 "one for each token of the vocabulary" "$program" train --lines few.txt --model none --updates 1 --tokenizer word \
    --latent 8 --vectors table.safetensors

# What cannot be is said, with exit status 2.
expect 2 "Give --minutes or --updates" "$program" train --lines lines.txt --model none
expect 2 "spans" "$program" train --lines lines.txt --model none --updates 1 --spans 0
expect 2 "there is no option --lins" "$program" train --lins lines.txt --model none
expect 0 "1 token is not in the model's vocabulary" bash -c "echo 'the violet ___' | '$program' fill --model whole --steps 2"
expect 2 "gap 1 has 'x' rows" bash -c "echo 'a ___(x)' | '$program' fill --model whole"
expect 2 "expected at most 12" bash -c "echo 'the ___(12)' | '$program' fill --model whole"
[[ -e none ]] && say "a model was written where nothing was trained"

((broken)) || echo "infill keeps its promises"
exit $broken
