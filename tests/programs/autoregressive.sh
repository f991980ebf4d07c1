#!/usr/bin/env bash
# The promises of examples/autoregressive, held by running it: autoregressive.sh PROGRAM. Prints what is broken, and
# fails then.
set -uo pipefail
# shellcheck source=tests/programs/promises.bash
source "$(dirname "$0")/promises.bash"

# Made-up pairs: colours and things, the other way round in the target.
for colour in red green black white; do
    for thing in boat house lamp stone; do
        for place in here there; do
            echo "the $colour $thing is $place"
        done
    done
done >source.txt
sed -E 's/the (\w+) (\w+) is (\w+)/\3 : \2 \1/' source.txt >target.txt
head -n 6 source.txt >valid.source
head -n 6 target.txt >valid.target

sizes=(--tokenizer word --width 32 --layers 1 --heads 2 --longest 12 --dropout 0.1 --tokens-per-batch 64
    --warm-up 10 --learning-rate 0.003 --validate-every 50 --valid-lines 6 --checkpoint-minutes 0)
train=("$program" train --source source.txt --target target.txt --valid-source valid.source --valid-target valid.target
    "${sizes[@]}" --latent 32)

# It learns, and a run that is interrupted and resumed ends in the bytes of one that was not.
expect 0 "model written to whole" "${train[@]}" --model whole --updates 300
"${train[@]}" --model parts --updates 300 >log 2>&1 &
for ((i = 0; i < 600; ++i)); do
    [[ -e parts.checkpoint ]] && break
    sleep 0.02
done
kill -TERM $! 2>/dev/null
wait $!
status=$?
[[ $status == 143 ]] || say "a terminated training ended with $status, expected 143: $(cat log)"
expect 0 "model written to parts" "${train[@]}" --model parts --updates 300
cmp whole parts || say "a resumed training gave another model"
expect 0 "bleu=100.00" "$program" evaluate --model whole --source source.txt --reference target.txt
expect 0 "bleu=100.00" "$program" evaluate --model whole --source source.txt --reference target.txt --beam 1

# Generation: line by line, an empty line stays empty, threads and batches change nothing.
printf 'the red boat is here\n\nthe white stone is there\n' >some
"$program" generate --model whole <some >once || say "generate failed"
[[ $(wc -l <once) == 3 && -z $(sed -n 2p once) ]] || say "three lines in, out came: $(cat once)"
"$program" generate --model whole --threads 1 --tokens-per-batch 1 <some >twice
cmp once twice || say "threads and batches change what is generated"

expect 0 "bleu=100.00" "$program" evaluate --model whole --source source.txt --reference target.txt --bf16
expect 0 "model written to coarse" "${train[@]}" --model coarse --updates 20 --bf16
expect 0 "model written to fine" "${train[@]}" --model fine --updates 20
cmp -s coarse fine && say "train --bf16 changes nothing"

# Scores: a pair that it has learnt is likelier than the same target of another source.
"$program" score --model whole --source valid.source --target valid.target >right 2>/dev/null || say "score failed"
tac valid.target >turned
"$program" score --model whole --source valid.source --target turned >wrong 2>/dev/null
[[ $(wc -l <right) == 6 ]] || say "score wrote $(wc -l <right) lines, expected 6"
awk '{getline other <"wrong"; split(other, o); if ($1 <= o[1]) exit 1}' right || say "a wrong target is as likely: $(paste right wrong)"

# Distilling: as many lines, in pieces that survive the program.
expect 0 "32 lines written to distilled" "$program" distill --model whole --source source.txt --output distilled --piece 5
cmp distilled target.txt || say "what is distilled of a perfect model is not its text"
expect 0 "3 lines written to short, 1 of them empty" "$program" distill --model whole --source some --output short
[[ -e distilled.part || -e distilled.state ]] && say "a finished distillation left its pieces"

# Re-ranking a diffusion model's candidates by it, where that program is built.
diffusion=$(dirname "$program")/seq2seq
if [[ -x $diffusion ]]; then
    expect 0 "model written" "$diffusion" train --source source.txt --target target.txt "${sizes[@]}" --latent 16 \
        --model noise --updates 60
    rerank=("$diffusion" evaluate --model noise --source valid.source --reference valid.target --length-beam 3 --noise-beam 3)
    expect 0 "sentences=6 " "${rerank[@]}" --select perplexity --scorer whole
    expect 2 "go together" "${rerank[@]}" --select perplexity
    expect 2 "lacks 'embedding' or 'autoregressive'" "${rerank[@]}" --select perplexity --scorer noise
fi

# Bad input: a clear message, status 2, nothing half-written.
expect 2 "missing" "$program" train --source missing --target target.txt --model none --updates 1
expect 2 "--minutes or --updates" "${train[@]}" --model none
expect 2 "width is 0" "$program" evaluate --model whole --source valid.source --reference valid.target --beam 0
expect 2 "missing" "$program" distill --model whole --source missing --output none
expect 2 "6 sources and 32 targets" "$program" score --model whole --source valid.source --target target.txt
[[ -e none || -e none.checkpoint ]] && say "a refused command left a file"
expect 0 "0.1" "$program" --version

((broken)) || echo "autoregressive keeps its promises"
exit $broken
