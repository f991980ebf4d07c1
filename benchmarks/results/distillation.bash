# Sourced by the rows in which Difformer learns from what the autoregressive Transformer writes, and is ranked by it.

source benchmarks/results/multi30k.bash
rows=$(dirname "$out")
distilled=$model
teacher=$rows/autoregressive/$run
written=$rows/distillation/$run.en
mkdir -p "$(dirname "$teacher")" "$(dirname "$written")"

# teach: trains the teacher.
teach() {
    model=$teacher
    learn "$autoregressive"
    model=$distilled
}

# distil: has the teacher write the training text again, and makes that the text to learn.
distil() {
    if [[ ! -f $written ]]; then
        "$seq2seq" distill --model "$teacher" --source "$data/multi30k/train.de" --output "$written" "${device[@]}"
    fi
    texts=(--source "$data/multi30k/train.de" --target "$written"
        --valid-source "$data/multi30k/val.de" --valid-target "$data/multi30k/val.en")
}

# rank ARGUMENTS: BLEU where the teacher chooses among candidates.
rank() { score "$seq2seq" --select perplexity --scorer "$teacher" "$@"; }

# rank_all: the ways to choose that the rows are compared by.
rank_all() {
    translate
    rank --length-beam 5 --noise-beam 2
    rank --length-beam 8 --noise-beam 5 --early-stopping 5
}
