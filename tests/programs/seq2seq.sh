#!/usr/bin/env bash
# The promises of examples/seq2seq, held by running it: seq2seq.sh PROGRAM. Prints what is broken, and fails then.
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
gzip -k source.txt

sizes=(--tokenizer word --latent 16 --width 32 --layers 1 --heads 2 --longest 12 --dropout 0.1 --tokens-per-batch 64
    --warm-up 10 --learning-rate 0.003 --validate-every 20 --checkpoint-minutes 0)
unscored=("$program" train --source source.txt.gz --target target.txt --valid-source valid.source --valid-target valid.target
    "${sizes[@]}")
train=("${unscored[@]}" --valid-lines 6)

# A run that is interrupted and resumed ends in the bytes of one that was not.
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
for name in .inkling-*; do [[ -e $name ]] && say "left behind: $name"; done
[[ $(head -n 1 whole.csv) == step,loss,* ]] || say "the metrics file begins with '$(head -n 1 whole.csv)'"

# Generation: line by line, an empty line stays empty, threads and batches change nothing, evaluate says the BLEU of it.
printf 'the red boat is here\n\nthe white stone is there\n' >some
"$program" generate --model whole <some >once || say "generate failed"
[[ $(wc -l <once) == 3 && -z $(sed -n 2p once) ]] || say "three lines in, out came: $(cat once)"
"$program" generate --model whole --threads 1 --tokens-per-batch 1 <some >twice
cmp once twice || say "threads and batches change what is generated"
expect 0 "sentences=6 " "$program" evaluate --model whole --source valid.source --reference valid.target --length-beam 2 \
    --noise-beam 2 --output scored
[[ $(wc -l <scored) == 6 ]] || say "evaluate wrote $(wc -l <scored) lines, expected 6"
expect 0 "bleu=100.00" "$program" evaluate --model whole --source valid.source --reference <(
    "$program" generate --model whole <valid.source) --tokenize none

# More metrics are a second line; lines that are their own references come back whole.
"$program" evaluate --model whole --source valid.source --reference scored --length-beam 2 --noise-beam 2 \
    --more-metrics >measured 2>said || say "--more-metrics is refused: $(cat said)"
sed -n 2p measured | grep -Eq '^rouge_l=1.0000 exact_match=1.0000( distinct_[124]=[01]\.[0-9]{4}){3} self_bleu=[0-9]+\.[0-9]{2}$' ||
    say "--more-metrics prints: $(cat measured)"
[[ $(head -n 1 measured) == bleu=100.00* && $(wc -l <measured) == 2 ]] || say "--more-metrics prints: $(cat measured)"

expect 0 "noise_factor=" "$program" noise --model whole

# A model trained with another noise factor says so itself.
expect 0 "model written to mild" "${train[@]}" --model mild --updates 2 --noise-factor 2
"$program" generate --model mild <some >/dev/null || say "a model of another noise factor cannot be used"

# Every recipe learns these pairs, and a model file knows what it is of; what is of another recipe is refused.
bleu() { "$program" evaluate --source source.txt --reference target.txt "$@" 2>/dev/null | sed -E 's/bleu=([0-9]+).*/\1/'; }
learn() { expect 0 "model written to $1" "${train[@]}" --model "$1" --ema 0.98 "${@:2}"; }
learn sed --recipe sed --random-vectors --updates 300
expect 0 "model written to dinoiser" "${unscored[@]}" --model dinoiser --ema 0.98 --recipe dinoiser --updates 250
expect 2 "--valid-lines was given" "${train[@]}" --model none --recipe dinoiser --updates 1
learn diffuseq --recipe diffuseq --updates 1000
for least in "sed 99" "dinoiser 99" "diffuseq 50"; do
    read -r recipe floor <<<"$least"
    reached=$(bleu --model "$recipe")
    ((${reached:-0} >= floor)) || say "$recipe reaches a BLEU of '$reached', expected at least $floor"
    expect 0 "noise_factor=" "$program" noise --model "$recipe"
done
for name in dinoiser.lengths-*.checkpoint; do [[ -e $name ]] || say "dinoiser did not train its lengths by themselves"; done
expect 0 "model written to learned" "${train[@]}" --recipe sed --model learned --updates 2
expect 0 "vectors of an earlier run" "${train[@]}" --recipe sed --model learned --updates 3
expect 0 "vectors: 100 %" "${train[@]}" --recipe sed --model learned.wide --updates 2 --vector-width 64
expect 2 "expected no more than --vector-width, 8" "${train[@]}" --recipe sed --model none --updates 2 --vector-width 8
expect 2 "--noise-factor was given, which is of other recipes than sed" "${train[@]}" --recipe sed --noise-factor 3 \
    --model none --updates 1
expect 2 "not in" "${train[@]}" --recipe refine --model none --updates 1
expect 2 "always see their source" "$program" evaluate --model diffuseq --source valid.source --reference valid.target --guidance 2

# What is chosen of sampler, plan, guidance and precision is what runs: a model that knows little writes something else
# by each.
expect 0 "model written to young" "${train[@]}" --model young --ema 0.9 --updates 40
"$program" generate --model young <source.txt >plain
expect 0 "plan written to plan" "$program" fit-plan --model young --source source.txt --output plan --steps 20
[[ $(wc -l <plan) == 50 ]] || say "a plan of $(wc -l <plan) parts, expected 50"
expect 0 "plan written to rounded" "$program" fit-plan --model young --source source.txt --output rounded --steps 20 --bf16
cmp -s plan rounded && say "--bf16 changes nothing"
expect 0 "model written to coarse" "${train[@]}" --model coarse --ema 0.9 --updates 40 --bf16
cmp -s young coarse && say "train --bf16 changes nothing"
expect 0 "bleu=" "$program" evaluate --model whole --source valid.source --reference valid.target --bf16
for other in "--sampler ddim" "--sampler cedi" "--sampler dpm-solver" "--plan adaptive" "--plan plan" "--guidance 3" "--seed 1" \
    "--fixed-time 0.9" "--clamp"; do
    read -ra words <<<"$other"
    "$program" generate --model young "${words[@]}" <source.txt >changed || say "$other is refused"
    cmp -s plain changed && say "$other changes nothing"
done
for sampler in ddim dpm-solver; do
    "$program" generate --model young --sampler $sampler <source.txt >steps
    for other in "--fixed-time 0.9" "--clamp" $([[ $sampler == ddim ]] && echo "--eta=1"); do
        read -ra words <<<"$other"
        "$program" generate --model young --sampler $sampler "${words[@]}" <source.txt >changed || say "$sampler refuses $other"
        cmp -s steps changed && say "$other changes nothing with $sampler"
    done
done
expect 0 "model written to young.diffuseq" "${train[@]}" --model young.diffuseq --recipe diffuseq --ema 0.9 --updates 40
"$program" generate --model young.diffuseq <source.txt >steps  # clamped by its recipe
"$program" generate --model young.diffuseq --clamp <source.txt >changed
cmp steps changed || say "--clamp changes what diffuseq does by itself"
"$program" generate --model young.diffuseq --no-clamp <source.txt >changed
cmp -s steps changed && say "--no-clamp changes nothing"
evaluate=("$program" evaluate --source valid.source --reference valid.target)
for sampler in "" "--sampler cedi" "--sampler dpm-solver"; do
    read -ra words <<<"$sampler"
    expect 2 "--eta is 0.500000, expected none" "${evaluate[@]}" --model whole --eta 0.5 "${words[@]}"
    expect 2 "--eta is 0.500000, expected none" "${evaluate[@]}" --model dinoiser --eta 0.5 "${words[@]}"
done
expect 2 "--fixed-time is 0.500000, expected none" "${evaluate[@]}" --model whole --fixed-time 0.5 --sampler cedi
expect 2 "--fixed-time is 0.500000, expected none" "${evaluate[@]}" --model dinoiser --fixed-time 0.5
expect 2 "eta is 2" "${evaluate[@]}" --model whole --sampler ddim --eta 2
expect 2 "fixed_time is 2" "${evaluate[@]}" --model whole --fixed-time 2
expect 0 "bleu=" "${evaluate[@]}" --model dinoiser --sampler ddim --eta 1 --fixed-time 0.9 --clamp
expect 0 "bleu=" "${evaluate[@]}" --model dinoiser --clamp
expect 2 "line 1 is 'the red boat is here'" "$program" evaluate --model whole --source valid.source \
    --reference valid.target --plan valid.source
expect 2 "no/plan" "$program" evaluate --model whole --source valid.source --reference valid.target --plan no/plan
expect 0 "bleu=" "$program" evaluate --model whole --source valid.source --reference valid.target \
    --sampler dpm-solver --plan adaptive
for sampler in cedi dpm-solver; do
    expect 2 "times are continuous" "$program" evaluate --model dinoiser --source valid.source --reference valid.target \
        --sampler $sampler --plan adaptive
    expect 0 "bleu=" "$program" evaluate --model dinoiser --source valid.source --reference valid.target --sampler $sampler
done
expect 0 "bleu=" "$program" evaluate --model dinoiser --source valid.source --reference valid.target --length-beam 3 \
    --noise-beam 2 --select two-level-mbr

# Post-training goes on from a file, leaves it alone, and skips pairs that the model has no room for.
cp whole kept
{ cat source.txt && echo "the the the the the the the the the the the the the the the the"; } >longer.source
{ cat target.txt && echo "a a a a a a a a a a a a a a a a"; } >longer.target
for recipe in whole diffuseq; do
    expect 0 "1 too long" "$program" post-train --from $recipe --model $recipe.agreeing \
        --source longer.source --target longer.target --tokens-per-batch 64 --learning-rate 0.001 --warm-up 1 --updates 100
    before=$(bleu --model $recipe --steps 2) after=$(bleu --model $recipe.agreeing --steps 2)
    ((${after:-0} >= before)) || say "post-training took $recipe from $before to '$after' BLEU in two steps"
done
cmp whole kept || say "post-training changed the model it began with"
other=("$program" post-train --from mild --model whole.agreeing --source source.txt --target target.txt
    --tokens-per-batch 64 --updates 1)
expect 2 "is there, but no" "${other[@]}"
expect 0 "model written to whole.agreeing" "${other[@]}" --restart
[[ $(ls whole.agreeing.from-*.checkpoint | wc -l) == 2 ]] || say "another beginning went on from the checkpoint of the first"
expect 2 "a recipe without it" "$program" post-train --from sed --model none --source source.txt --target target.txt --updates 1

# One model of two targets is told by a tag which of them to write.
{ sed 's/^/<plain> /' source.txt && sed 's/^/<turned> /' source.txt; } >tagged.source
cat source.txt target.txt >tagged.target
cat target.txt target.txt >target.twice
expect 0 "model written to tagged" "$program" train --source tagged.source --target tagged.target --latent 16 \
    --width 32 --layers 1 --heads 2 --longest 24 --tokens-per-batch 128 --warm-up 10 --learning-rate 0.003 --ema 0.98 \
    --vocabulary 60 --tags "<plain>" "<turned>" --model tagged --updates 800
"$program" generate --model tagged <tagged.source >written
plain=$(head -n 32 written | grep -c '^the ') turned=$(tail -n 32 written | grep -c ' : ')
((plain >= 28 && turned >= 28)) || say "of 32 lines each, $plain are in the first language and $turned in the second"
expect 2 "cuts no word" "${train[@]}" --tags "<plain>" --model none --updates 1

# Sources with a vocabulary of their own: of the words that they alone have. Every recipe with a table for them, but one
# that joins both sides.
for recipe in difformer dinoiser sed; do
    expect 0 ", of sources 16" "$program" train --recipe $recipe --source source.txt --target target.txt "${sizes[@]}" \
        --source-vocabulary 40 --model own.$recipe --updates 3
    "$program" generate --model own.$recipe --steps 3 <some >answers 2>said || say "$recipe: generate failed: $(cat said)"
    [[ $(wc -l <answers) == 3 ]] || say "$recipe: three lines in, out came: $(cat answers)"
    grep -qw is answers && say "$recipe: a source's word is written: $(cat answers)"
    grep -q "not in the model" said && say "$recipe: the source's own words are unknown: $(cat said)"
done
expect 0 "model written to own.twice" "$program" post-train --from own.difformer --source source.txt --target target.txt \
    --model own.twice --tokens-per-batch 64 --updates 2
expect 0 "plan written" "$program" fit-plan --model own.difformer --source source.txt --output own.plan --steps 4
expect 0 "model written to own.tagged" "$program" train --source tagged.source --target target.twice --latent 16 --width 32 \
    --layers 1 --heads 2 --longest 24 --tokens-per-batch 128 --vocabulary 60 --source-vocabulary 70 --tags "<plain>" "<turned>" \
    --model own.tagged --updates 3
"$program" generate --model own.tagged --steps 3 <tagged.source 2>said | wc -l | grep -qx 64 ||
    say "subwords of sources alone: $(cat said)"
expect 2 "--source-vocabulary was given" "$program" train --recipe diffuseq --source source.txt --target target.txt \
    --source-vocabulary 40 --model none --updates 1
expect 2 "--source-vocabulary is 3: " "${train[@]}" --source-vocabulary 3 --model none --updates 1
expect 0 "more than a fifth of all tokens are unknown" "${train[@]}" --vocabulary 6 --model few --updates 1
expect 2 "--source-vocabulary is -1" "${train[@]}" --source-vocabulary -1 --model none --updates 1

# A model of autoregressive chooses among candidates and files of them, and writes new targets.
autoregressive=$(dirname "$program")/autoregressive
if [[ ! -x $autoregressive ]]; then
    say "there is no $autoregressive to choose with"
else
    expect 0 "model written to ar" "$autoregressive" train --source source.txt --target target.txt --tokenizer word \
        --width 32 --layers 1 --heads 2 --longest 12 --latent 32 --tokens-per-batch 64 --warm-up 10 --learning-rate 0.003 \
        --model ar --updates 300
    expect 0 "bleu=" "$program" evaluate --model whole --source valid.source --reference valid.target --length-beam 3 \
        --select perplexity --scorer ar
    tac valid.target >turned
    expect 0 ", of sources 16" "$autoregressive" train --source source.txt --target target.txt --tokenizer word \
        --source-vocabulary 40 --width 32 --layers 1 --heads 2 --latent 16 --tokens-per-batch 256 --model ar.own --updates 3
    "$autoregressive" score --model ar.own --source source.txt --target target.txt 2>said | wc -l | grep -qx 32 ||
        say "pairs of two vocabularies have no score: $(cat said)"
    expect 0 "bleu=" "$program" evaluate --model own.difformer --source valid.source --reference valid.target \
        --length-beam 2 --select perplexity --scorer ar.own
    "$program" rescore --scorer ar --source valid.source --candidates turned valid.target >chosen || say "rescore failed"
    cmp chosen valid.target || say "rescore takes wrong answers: $(paste valid.source chosen)"
    "$program" rescore --scorer ar --source source.txt --candidates target.txt turned >short 2>said && say "rescore takes too few lines"
    grep -q "expected as many" said && [[ ! -s short ]] || say "rescore of files of other lengths: $(cat said short)"
    expect 0 "32 lines written to distilled" "$program" distill --model ar --source source.txt --output distilled
    expect 2 "which is read" "$program" distill --model ar --source source.txt --output source.txt
    expect 2 "which is read" "$program" distill --model ar --source source.txt --output ar
    expect 2 "which is read" "$program" evaluate --model whole --source valid.source --reference valid.target \
        --select perplexity --scorer ar --output ar
    expect 2 "a model of another program" "$program" generate --model ar
fi
expect 2 "go together" "$program" evaluate --model whole --source valid.source --reference valid.target --select perplexity

# Nothing that is read, and no model that is there, is written over.
cp source.txt precious
expect 2 "which is read" "$program" train --source precious --target target.txt --model precious --updates 1 "${sizes[@]}"
cp target.txt answers
expect 2 "which is read" "$program" evaluate --model whole --source source.txt --reference answers --output answers
expect 2 "which is read" "$program" fit-plan --model whole --source precious --output precious
cmp answers target.txt && cmp precious source.txt || say "what is read was written over"
cp whole alone
expect 2 "is there, but no 'alone.checkpoint'" "${train[@]}" --model alone --updates 1
cmp alone whole || say "a finished model was replaced"
expect 2 "no pair of" "$program" train --source source.txt --target target.txt --model none --updates 1 --longest 4
expect 0 "model written to clipped" "$program" train --source source.txt --target target.txt --model clipped --updates 2 \
    --levels clipped "${sizes[@]}"
expect 2 "expected even with --loss rounding" "$program" train --source source.txt --target target.txt --model none \
    --updates 2 --levels clipped --loss rounding
expect 2 "expected none without --second steps" "$program" post-train --from whole --source source.txt \
    --target target.txt --model none --updates 1 --apart 3
expect 2 "another recipe than difformer" "$program" post-train --from diffuseq --source source.txt --target target.txt \
    --model none --updates 1 --loss rounding
for words in "--second steps --apart 3" "--window 0.2 --loss rounding"; do
    read -ra words <<<"$words"
    expect 0 "model written to other" "$program" post-train --from whole --source source.txt --target target.txt \
        --model other --restart --updates 2 --tokens-per-batch 64 "${words[@]}"
done
expect 2 "window is -1" "$program" post-train --from whole --source source.txt --target target.txt --model none --updates 1 \
    --tokens-per-batch 64 --window -1
expect 0 "all of them were within --warm-up" "$program" train --source source.txt --target target.txt --model brief \
    --updates 1 --tokenizer word --width 32 --layers 1 --heads 2

# Bad input: a clear message, status 2, nothing half-written.
expect 2 "missing" "$program" train --source missing --target target.txt --model none --updates 1
expect 2 "--minutes or --updates" "${train[@]}" --model none
expect 2 "go together" "$program" train --source source.txt --target target.txt --valid-source valid.source --model none --updates 1
expect 2 "no/where" "${train[@]}" --model no/where --updates 1
expect 2 "other options or text" "${train[@]}" --model whole --updates 301 --seed 2
expect 0 "model written" "${train[@]}" --model whole --updates 2 --seed 2 --restart
[[ -e none || -e none.checkpoint ]] && say "a refused training left a file"
expect 2 "there is no command trian" "$program" trian --source source.txt
expect 2 "--updates is -5, expected 0 or more" "${train[@]}" --model none --updates -5
expect 2 "--width is -5, expected at least 1" "$program" train --source source.txt --target target.txt --model none --updates 1 \
    --width -5
expect 2 "--heads is 5" "$program" train --source source.txt --target target.txt --model none --updates 1 --heads 5
expect 2 "there is no option --modle" "${train[@]}" --modle none --updates 1
: >empty
expect 2 "'empty' is empty" "$program" train --source empty --target empty --model none --updates 1
expect 2 "'source.txt': is no safetensors file: its header, from byte 8 on, does not begin with '{'" "$program" generate --model source.txt
again=$("${train[@]}" --model parts --updates 300 2>&1)
[[ $again == *"model written to parts"* && $again != *"loss 0.0000"* ]] || say "a finished training, run again: $again"
head -c 1000 whole >short
expect 2 "short" "$program" evaluate --model short --source valid.source --reference valid.target
expect 2 "expected as many" "$program" evaluate --model whole --source valid.source --reference target.txt
printf 'fine\nthe the the the the the the the the the the the the\n' >long
said=$("$program" generate --model whole <long 2>&1)
[[ $? == 2 && $said == *"standard input: line 2 has 13 tokens"* ]] || say "a line that is too long: $said"
"$program" generate --model whole --too-long truncate <long >/dev/null || say "--too-long truncate is refused"
printf 'the blue boat is here\nthe red boat is here\nthe blue yacht is here\n' | "$program" generate --model whole >three 2>said
[[ $(wc -l <three) == 3 && $(<said) == *"3 tokens are not in the model's vocabulary"* ]] || say "unknown words: $(cat said)"
printf 'bad \xff byte\n' | "$program" generate --model whole >/dev/null 2>said && say "invalid UTF-8 is taken"
grep -q "UTF-8" said || say "invalid UTF-8: $(cat said)"
"$program" evaluate --model whole --source valid.source --reference valid.target >/dev/full 2>said && say "a full disk is not noticed"
expect 0 "0.1" "$program" --version

((broken)) || echo "seq2seq keeps its promises"
exit $broken
