#!/usr/bin/env bash
# The promises of examples/probe, held by running it: probe.sh PROGRAM, with infill beside it. Prints what is broken,
# and fails then.
set -uo pipefail
# shellcheck source=tests/programs/promises.bash
source "$(dirname "$0")/promises.bash"
infill=$(dirname "$program")/infill

for colour in red green black white; do
    for thing in boat house lamp stone; do
        for place in here there; do
            echo "the $colour $thing is $place"
            echo "$place the $thing is $colour"
        done
    done
done >lines.txt
expect 0 "model written to denoiser" "$infill" train --lines lines.txt --tokenizer word --latent 8 --vector-width 16 \
    --width 32 --layers 4 --heads 2 --longest 12 --tokens-per-batch 64 --updates 30 --warm-up 10 --model denoiser

# What a line begins with: no bag of words can tell.
while read -r line; do
    printf '%s\t%s\n' "$([[ $line == "the "* ]] && echo plain || echo 'turned round')" "$line"
done <lines.txt >order.tsv
cut -f1 order.tsv >order.labels
cut -f2 order.tsv >order.txt
gzip -k order.tsv
train=("$program" train --denoiser denoiser --width 16 --heads 2 --tokens-per-batch 128)
long=("${train[@]}" --epochs 30 --learning-rate 0.003)

"${long[@]}" --data order.tsv.gz --valid order.tsv --test order.tsv --model order >table 2>log || say "training failed: $(cat log)"
[[ $(wc -l <table) == 5 ]] || say "five kinds, printed: $(cat table)"
for kind in bag words; do
    grep -q "kind=$kind .*valid_accuracy=0.5" table || say "a bag of words knows their order: $(cat table)"
done
for kind in probe fusion feedback; do
    grep -q "kind=$kind .*valid_accuracy=1.0* test_accuracy=1.0*$" table || say "$kind does not learn: $(cat table)"
done

# The same from two files, in the same bytes; whatever the threads and batches, lines are of the same class.
expect 0 "was written to twice" "${train[@]}" --data order.txt --labels order.labels --valid order.txt \
    --valid-labels order.labels --model twice
expect 0 "was written to thrice" "${train[@]}" --data order.tsv --valid order.tsv --model thrice --threads 1
cmp twice thrice || say "two files, or threads, give another classifier"
"$program" predict --denoiser denoiser --model order <order.txt >said || say "predict failed"
cmp said order.labels || say "predict says something else than the labels"
"$program" predict --denoiser denoiser --model order --scores --threads 1 --tokens-per-batch 1 <order.txt >scored
cmp <(cut -f1 scored) said || say "threads or batches change the classes"
expect 0 "lines=64 accuracy=1.000000" "$program" evaluate --denoiser denoiser --model order --data order.tsv
expect 0 "class=turned round lines=32 right=1.000000" "$program" evaluate --denoiser denoiser --model order --data order.tsv

# One kind alone, and every kind can be read back.
for kind in bag words probe fusion feedback; do
    expect 0 "'$kind' is right most often" "${train[@]}" --data order.tsv --kinds $kind --epochs 1 --model only --restart
    expect 0 "accuracy=" "$program" evaluate --denoiser denoiser --model only --data order.tsv
done

expect 0 "'fusion' is right most often" "${train[@]}" --data order.tsv --kinds fusion --epochs 1 --model fine
expect 0 "'fusion' is right most often" "${train[@]}" --data order.tsv --kinds fusion --epochs 1 --model coarse --bf16
cmp -s fine coarse && say "train --bf16 changes nothing"
expect 0 "lines=64 accuracy=1.000000" "$program" evaluate --denoiser denoiser --model order --data order.tsv --bf16

# A training that is ended writes nothing and leaves nothing behind.
"${train[@]}" --data order.tsv --epochs 100000 --model ended >ended.log 2>&1 &
for ((i = 0; i < 600; ++i)); do
    grep -q "at step" ended.log 2>/dev/null && break
    sleep 0.02
done
kill -TERM $! 2>/dev/null
wait $!
status=$?
[[ $status == 143 ]] || say "a terminated training ended with $status, expected 143: $(cat ended.log)"
[[ -e ended ]] && say "a model was written by a training that was ended"
for name in .inkling-*; do [[ -e $name ]] && say "left behind: $name"; done

# Nothing that is read, and no file that is there, is written over.
cp denoiser kept
expect 2 "which is read" "${train[@]}" --data order.tsv --kinds bag --epochs 1 --model denoiser
expect 2 "which is read" "${train[@]}" --data order.tsv --kinds bag --epochs 1 --model order.tsv --restart
expect 2 "'only' is there" "${train[@]}" --data order.tsv --kinds bag --epochs 1 --model only
cmp denoiser kept || say "a denoiser was written over"

# What cannot be is said, with exit status 2.
expect 2 "line 1 has no tab" "${train[@]}" --data order.txt --model none
expect 2 "goes on, expected as many lines in both" "${train[@]}" --data order.txt --labels <(head -n 3 order.labels) --model none
expect 2 "there is no option --dta" "${train[@]}" --dta order.tsv --model none
expect 2 "--kinds" "${train[@]}" --data order.tsv --kinds bags --model none
expect 2 "layer 9 is asked for, expected 0 to 4" "${train[@]}" --data order.tsv --layers 2,9 --kinds fusion --model none
expect 2 "--epochs is 0" "${train[@]}" --data order.tsv --epochs 0 --model none
expect 2 "a model file of something else" "$program" evaluate --denoiser denoiser --model denoiser --data order.tsv
expect 2 "denoiser" "$program" evaluate --denoiser order --model order --data order.tsv
expect 2 "cannot be opened" "$program" evaluate --denoiser nothing --model order --data order.tsv
expect 0 "model written to other" "$infill" train --lines lines.txt --tokenizer word --latent 8 --vector-width 16 \
    --width 32 --layers 4 --heads 2 --longest 12 --tokens-per-batch 64 --updates 2 --seed 2 --model other
expect 2 "was trained over another model" "$program" evaluate --denoiser other --model order --data order.tsv
printf 'neither\tthe red boat\n' >strange.tsv
expect 2 "has the label 'neither', expected one of the 2 classes" "$program" evaluate --denoiser denoiser --model order \
    --data strange.tsv
[[ -e none ]] && say "a model was written where nothing was trained"

((broken)) || echo "probe keeps its promises"
exit $broken
