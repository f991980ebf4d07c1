#pragma once

/// \file
/// The whole metric room: BLEU, ROUGE, distinct-n, exact match.

#include <inkling/metric/bleu.hpp>
#include <inkling/metric/bleu_tokenizer.hpp>
#include <inkling/metric/concept.hpp>
#include <inkling/metric/diversity.hpp>
#include <inkling/metric/exact_match.hpp>
#include <inkling/metric/method4_bleu.hpp>
#include <inkling/metric/rouge.hpp>
#include <inkling/metric/rouge_sets.hpp>
