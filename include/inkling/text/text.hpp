#pragma once

/// \file
/// The text room, all of it that needs only the standard library; text/sentencepiece_tokenizer.hpp and
/// text/wordpiece_tokenizer.hpp are included by their own names.

#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/gaps.hpp>
#include <inkling/text/joining.hpp>
#include <inkling/text/labelled_lines.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/packing.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/text/reading.hpp>
#include <inkling/text/span_masking.hpp>
#include <inkling/text/tokenizer_pair.hpp>
#include <inkling/text/utf8.hpp>
#include <inkling/text/vocabulary.hpp>
#include <inkling/text/word_tokenizer.hpp>
