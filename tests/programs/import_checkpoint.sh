#!/usr/bin/env bash
# The promises of examples/import_checkpoint, held by running it: import_checkpoint.sh PROGRAM, with seq2seq beside it.
# The checkpoints are those of the project's own golden tests, whose sizes stand below. Prints what is broken, and fails
# then.
set -uo pipefail
models=$(cd "$(dirname "$0")/../golden/data/models" && pwd) || exit 1
# shellcheck source=tests/programs/promises.bash
source "$(dirname "$0")/promises.bash"
seq2seq=$(dirname "$program")/seq2seq

# Dictionaries of as many tokens as the checkpoints have, 50: fairseq counts its own four, BERT writes them down.
for ((i = 1; i <= 46; ++i)); do echo "w$i $((100 - i))"; done >dict.txt
{ printf '[%s]\n' CLS SEP UNK PAD && cut -d ' ' -f 1 dict.txt; } >vocab.txt
printf 'w1 w2 w3\n\nw40 w7 w7 w9\n' >some

# The official options stand in the checkpoint's configuration among other things.
for name in difformer_a difformer_b difformer_c dinoiser_a dinoiser_b diffuseq; do
    { echo '{' && sed -e '1,/"settings": {/d' -e '/^ }/,$d' "$models/$name.config.json" && echo '}'; } >$name.json
done
echo '{"decoding_steps": 20}' >difformer_a.decoding
echo '{"decoding_steps": 20, "decoding_rescaling_factor": 2.0, "decoding_vp_rf": true}' >difformer_b.decoding
echo '{"decoding_steps": 7, "decoding_noise_schedule": "sqrt"}' >difformer_c.decoding
echo '{"solver": "cedi", "denoise_steps": 20, "denoise_end": 0.99}' >dinoiser_a.decoding
echo '{"solver": "ddim", "denoise_steps": 12, "denoise_start": 0.95, "denoise_end": 0.01}' >dinoiser_b.decoding
echo '{"respacing": "adp_20"}' >diffuseq.decoding

# of NAME: the words of a command for this checkpoint.
of() {
    local name=$1 vocabulary=dict.txt
    [[ $name == diffuseq ]] && vocabulary=vocab.txt
    command=("$program" --system "${name%_*}" --weights "$models/$name.weights.safetensors" --options "$name.json"
        --decoding "$name.decoding" --vocabulary "$vocabulary")
}

# Line by line, an empty line stays empty; seeds change what is written, threads and batches do not.
for name in difformer_a difformer_b difformer_c dinoiser_a dinoiser_b diffuseq; do
    of $name
    "${command[@]}" --save $name.inkling <some >$name.once 2>said || say "$name is refused: $(cat said)"
    grep -q "model written to $name.inkling" said || say "$name is not said to be written: $(cat said)"
    [[ $(wc -l <$name.once) == 3 && -n $(sed -n 1p $name.once) && -z $(sed -n 2p $name.once) ]] ||
        say "$name: three lines in, out came: $(cat $name.once)"
    "${command[@]}" --threads 1 --tokens-per-batch 1 <some >twice 2>/dev/null
    cmp $name.once twice || say "$name: threads and batches change what is written"
    if [[ $name != difformer_[ab] ]]; then  # which write one thing, whatever the noise
        "${command[@]}" --seed 1 <some >other 2>/dev/null
        cmp -s $name.once other && say "$name: --seed changes nothing"
    fi
    expect 2 "expected a new file" "${command[@]}" --save $name.inkling
done
for i in {1..20}; do echo "w$i w$((i + 7)) w$((2 * i)) w$((46 - i)) w$((i % 5 + 1))"; done >lines
of difformer_c
"${command[@]}" <lines >plain 2>/dev/null
for other in "--length-beam 3" "--noise-beam 3" "--bf16"; do
    read -ra words <<<"$other"
    "${command[@]}" "${words[@]}" <lines >changed 2>/dev/null || say "$other is refused"
    cmp -s plain changed && say "$other changes nothing"
done
sed 's/7/7, "length_beam_size": 3/' difformer_c.decoding >beam.decoding
"${command[@]}" --length-beam 3 <lines >by_option 2>/dev/null
"${command[@]/difformer_c.decoding/beam.decoding}" <lines >by_decoding 2>/dev/null
cmp by_option by_decoding || say "beams of --decoding are others than those of --length-beam"

# What is saved of these two, seq2seq reads, and writes the same by the same steps; of another schedule it says so.
if [[ ! -x $seq2seq ]]; then
    say "there is no $seq2seq to read what was saved"
else
    "$seq2seq" generate --model difformer_a.inkling --steps 20 <some >answers || say "seq2seq cannot read difformer's"
    cmp difformer_a.once answers || say "seq2seq writes something else by what was saved of difformer"
    "$seq2seq" generate --model dinoiser_a.inkling --steps 20 <some >answers || say "seq2seq cannot read dinoiser's"
    cmp dinoiser_a.once answers || say "seq2seq writes something else by what was saved of dinoiser"
    expect 0 "model written to on" "$seq2seq" post-train --from difformer_a.inkling --source lines --target lines \
        --model on --tokens-per-batch 64 --updates 2
    expect 2 "another noise schedule" "$seq2seq" generate --model difformer_c.inkling
fi

# A dictionary of the source's own: the words of a checkpoint that shares none are read by it, here of other names.
of dinoiser_a
sed 's/^w/q/' dict.txt >dict.source.txt
"${command[@]}" --source-vocabulary dict.source.txt --save own.inkling < <(tr w q <some) >own 2>said ||
    say "--source-vocabulary is refused: $(cat said)"
cmp own dinoiser_a.once || say "a source's own dictionary of the same order gives other lines"
[[ ! -x $seq2seq ]] || "$seq2seq" generate --model own.inkling --steps 20 < <(tr w q <some) >answers
cmp own answers || say "seq2seq writes something else by what was saved of two dictionaries"
head -n 45 dict.source.txt >small.source.txt
expect 2 "'encoder.enc_token_embed.weight' is [50, " "${command[@]}" --source-vocabulary small.source.txt --save none
of difformer_a
expect 2 "the source has a vocabulary of its own" "${command[@]}" --source-vocabulary dict.source.txt --save none
of diffuseq
expect 2 "--source-vocabulary was given" "${command[@]}" --source-vocabulary dict.source.txt --save none

# Parts of words are joined in what is written, not in what is read.
of difformer_c
"${command[@]}" <lines >apart 2>/dev/null
sed 's/^w\([0-9]*[13579]\) /w\1@@ /' dict.txt >parts.txt  # every second word is a part
sed 's/w\([0-9]*[13579]\)\b/w\1@@/g' lines >parts
parts=("${command[@]/dict.txt/parts.txt}")
"${parts[@]}" <parts >joined 2>/dev/null
sed 's/w\([0-9]*[13579]\)\b/w\1@@/g' apart | cmp - joined || say "words of another spelling give other tokens"
"${parts[@]}" --remove-bpe --save parts.inkling <parts >joined 2>/dev/null || say "--remove-bpe is refused"
sed 's/w\([0-9]*[13579]\)\b/w\1@@/g;s/@@ //g;s/@@$//' apart | cmp - joined || say "--remove-bpe joins no parts"
cmp -s apart joined && say "no part was written that --remove-bpe could join"
sed 's/@@/##/' parts.txt >others.txt
"${command[@]/dict.txt/others.txt}" --remove-bpe=## < <(sed 's/@@/##/g' parts) 2>/dev/null | cmp - joined ||
    say "--remove-bpe=## joins other parts"

# DiffuSeq's own vocabulary, of words and parts that are joined.
of diffuseq
"${command[@]}" <lines >apart 2>/dev/null
{
    echo '{"[START]": 0, "[END]": 1, "[UNK]": 2, "[PAD]": 3'
    awk '{print ", \"" $1 "\": " NR + 3}' dict.txt
    echo '}'
} >vocab.json
"${command[@]/vocab.txt/vocab.json}" --save words.inkling <lines >words 2>said || say "vocab.json is refused: $(cat said)"
cmp apart words || say "vocab.json of the same words gives others"
sed 's/ 7$/ 6/' vocab.json >twice.json
expect 2 "both have the number 6" "${command[@]/vocab.txt/twice.json}" --save none
expect 2 "--remove-bpe was given" "${command[@]}" --remove-bpe --save none

# Bad input: a clear message, status 2, nothing half-written.
of difformer_a
weights=$models/difformer_a.weights.safetensors
head -c 100000 "$weights" >short.safetensors
expect 2 "short.safetensors" "${command[@]/$weights/short.safetensors}" --save none
expect 2 "none.safetensors" "${command[@]/$weights/none.safetensors}" --save none
expect 2 "without a place in this model" "${command[@]/$weights/$models/dinoiser_a.weights.safetensors}" --save none
head -n 45 dict.txt >small.txt
expect 2 "the tokenizer has 49 tokens, expected the model's 50" "${command[@]/dict.txt/small.txt}" --save none
sed '/"vocab"/d' difformer_a.json >unsaid.json
unsaid=("${command[@]/difformer_a.json/unsaid.json}")
expect 2 "is [50, 16], expected [49, 16]" "${unsaid[@]/dict.txt/small.txt}" --save none
expect 2 "expected a word, a blank and a count" "${command[@]/dict.txt/vocab.txt}" --save none
expect 2 "no/dict.txt" "${command[@]/dict.txt/no/dict.txt}" --save none
sed 's/"model_dim": 32/"model_dim": "wide"/' difformer_a.json >wide.json
expect 2 "wide.json: the setting 'model_dim' is \"wide\"" "${command[@]/difformer_a.json/wide.json}" --save none
expect 2 "'some' is no JSON object" "${command[@]/difformer_a.json/some}" --save none
echo '{"decoding_steps": 2001}' >many.decoding
expect 2 "2001" "${command[@]/difformer_a.decoding/many.decoding}" --save none
echo '{"ppl_mbr": true}' >ppl.decoding
expect 2 "ppl.decoding: the setting 'ppl_mbr' is true" "${command[@]/difformer_a.decoding/ppl.decoding}" --save none
expect 2 "length_beam is 0" "${command[@]}" --length-beam 0 --save none
expect 2 "which is read" "${command[@]}" --save dict.txt
expect 2 "no/where" "${command[@]}" --save no/where
of diffuseq
expect 2 "--length-beam was given" "${command[@]}" --length-beam 2 --save none
{ printf '[%s]\n' SEP CLS && sed 1,2d vocab.txt; } >swapped.txt
expect 2 "the tokenizer's bos is token 1, expected the model's 0" "${command[@]/vocab.txt/swapped.txt}" --save none
expect 2 "not in" "${command[@]/diffuseq/refine}" --save none
expect 2 "there is no option --wieghts" "$program" --system diffuseq --wieghts "$weights"
[[ -e none ]] && say "what was refused left a file"
of dinoiser_a
{ echo fine && printf 'w1 %.0s' {1..30} && echo; } >long
said=$("${command[@]}" <long 2>&1)
[[ $? == 2 && $said == *"standard input: line 2 has 30 tokens"* ]] || say "a line that is too long: $said"
"${command[@]}" --too-long truncate <long >/dev/null 2>said || say "--too-long truncate is refused: $(cat said)"
grep -q "1 token is not in the model's vocabulary" said || say "an unknown word: $(cat said)"
expect 0 "0.1" "$program" --version

((broken)) || echo "import_checkpoint keeps its promises"
exit $broken
