#include <inkling/text/tokenizer_pair.hpp>

#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/io/lines.hpp>
#include <inkling/pipeline/distillation.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/reading.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include "device.hpp"
#include "io/temporary_folder.hpp"
#include "refusal.hpp"
#include "same_generated.hpp"
#include "tiny.hpp"
#include "tiny_autoregression.hpp"

#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace inkling;
using tiny::Pipeline;
using Pair = text::TokenizerPair<text::WordTokenizer>;

text::WordTokenizer words_of(std::vector<std::string> const& lines) {
    text::MemoryLines source{lines};
    return text::WordTokenizer::train(source);
}

/// Sentences of another language, of more words than the first: every word has its place in the line behind it.
std::vector<std::string> told(std::vector<std::string> const& lines) {
    std::vector<std::string> other;
    for (std::string const& line : lines) {
        std::string said, word;
        int place = 0;
        for (char const sign : line + " ") {
            if (sign != ' ') {
                word += sign;
                continue;
            }
            said += (said.empty() ? "" : " ") + word + std::to_string(place++);
            word.clear();
        }
        other.push_back(said);
    }
    return other;
}

std::vector<std::string> const& targets() {
    static auto const lines = tiny::sentences(60);
    return lines;
}
std::vector<std::string> const& sources() {
    static auto const lines = told(targets());
    return lines;
}
Pair pair() { return {words_of(sources()), words_of(targets())}; }

template <class Tokenizer>
text::ParallelCorpus corpus_of(Tokenizer const& tokenizer, std::vector<std::string> const& source) {
    text::MemoryLines source_lines{source}, target_lines{targets()};
    return text::read_parallel(source_lines, target_lines, tokenizer).corpus;
}

Pipeline::Options options() {
    auto options = tiny::options();
    options.denoiser.share_embedding = false;
    options.denoiser.dropout = 0.0;
    return options;
}

template <class Tokenizer>
Pipeline trained(Tokenizer const& tokenizer, std::vector<std::string> const& source) {
    Pipeline pipeline(tokenizer, options());
    Trainer<Pipeline>::Options training;
    training.steps = 20;
    training.learning_rate = {.peak = 3e-3, .warm_up = 5};
    training.tokens_per_batch = 128;
    training.discrete_steps = 100;
    training.bleu_sentences = 0;
    (void)Trainer<Pipeline>(pipeline, training).fit(corpus_of(tokenizer, source));
    return pipeline;
}

std::vector<Generated> answers_of(Pipeline const& pipeline, std::vector<std::string> const& source) {
    return pipeline.generate_with(source, {.seed = 3, .beams = {.length_beam = 2}});
}

TEST_CASE("two vocabularies that are one give the bits of one, whose source has a table of its own") {
    auto const words = words_of(targets());
    auto const one = trained(words, targets()), two = trained(Pair(words, words), targets());
    CHECK(one.source_vocabulary() == one.space().vocabulary());
    CHECK(two.tokenizer().source_vocabulary_size() == one.space().vocabulary());
    for (Index i = 0; i < one.weights().size; ++i) REQUIRE(one.weights().data[i] == two.weights().data[i]);
    check_same(answers_of(two, targets()), answers_of(one, targets()));
}

TEST_CASE("a source of more words than the target has trains, is saved, and is read by its own words") {
    auto const tokenizer = pair();
    REQUIRE(tokenizer.source_vocabulary_size() > tokenizer.vocabulary_size());
    auto const pipeline = trained(tokenizer, sources());
    auto const& table = *pipeline.layout().find("encoder.embed_tokens.weight");
    CHECK(table.shape == std::vector<Index>{tokenizer.source_vocabulary_size(), 8});
    TemporaryFolder const folder;
    pipeline.save(folder / "model.inkling");
    auto const loaded = Pipeline::load<Pair, text::WordTokenizer>(
        folder / "model.inkling", {.sampler = pipeline.options().sampler, .device = {.threads = 1}});
    auto const answers = answers_of(pipeline, sources());
    check_same(answers_of(loaded, sources()), answers);
    std::vector<std::vector<Token>> tokens;
    for (auto const& line : sources()) tokens.push_back(tokenizer.source().encode(line));
    check_same(pipeline.generate_tokens(tokens, {.seed = 3, .beams = {.length_beam = 2}}), answers);
    CHECK_SAYS(
        (Pipeline::load<text::WordTokenizer>(folder / "model.inkling")),
        message(
            "model.inkling', the tokenizer: inkling::text::AnyTokenizer: these bytes hold a tokenizer of kind 'pair', "
            "expected 'word'"));

    // Words that the source alone knows tell sources apart.
    auto const last = static_cast<Token>(tokenizer.source_vocabulary_size() - 1);
    auto const sure = [&](Token token) {
        return pipeline.generate_tokens(std::vector<std::vector<Token>>{{token, 4, 5}}, {.seed = 3})[0]
            .mean_log_probability;
    };
    CHECK(sure(last) != sure(last - 1));
    CHECK_SAYS(sure(last + 1), message("has the token ", last + 1, ", expected one of a vocabulary of ", last + 1));
}

TEST_CASE("what a source alone knows is refused in a target, and the other way round") {
    auto const tokenizer = pair();
    Pipeline pipeline(tokenizer, options());
    Trainer<Pipeline> trainer(pipeline, {.steps = 1});
    auto const last = static_cast<Token>(tokenizer.source_vocabulary_size() - 1);
    text::ParallelCorpus good, bad_source, bad_target;
    std::vector<Token> const target{4}, source{last}, beyond{last + 1};
    good.add(source, target);
    bad_source.add(beyond, target);
    bad_target.add(target, source);
    (void)trainer.fit(good);
    CHECK_SAYS(trainer.fit(bad_source), message("the source token ", last + 1));
    CHECK_SAYS(trainer.fit(bad_target), message("the target token ", last));
}

TEST_CASE("models that read both sides from one table refuse a source with a vocabulary of its own") {
    auto const tokenizer = pair();
    CHECK_SAYS(Pipeline(tokenizer, tiny::options()),
               "share_embedding is true, but the source has a vocabulary of its own");
    CHECK_SAYS(tiny::Autoregression(tokenizer, tiny::autoregression_options()),
               "share_embedding is true, but the source has a vocabulary of its own");
    using Joined =
        TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderOnly<tests::Device<>>, sampler::Ddpm>;
    CHECK_SAYS(Joined(tokenizer, {.embedding = {.width = 8}, .denoiser = {.width = 16, .heads = 2}}),
               message("the tokenizer gives sources a vocabulary of their own, of ", tokenizer.source_vocabulary_size(),
                       " tokens, expected one for both sides"));
}

TEST_CASE("an autoregressive model of two vocabularies learns, scores and distils") {
    auto const tokenizer = pair();
    auto options = tiny::autoregression_options();
    options.model.share_embedding = false;
    tiny::Autoregression model(tokenizer, options);
    auto const surety = [&] {
        double sum = 0.0;
        for (std::size_t i = 0; i < targets().size(); ++i) {
            double const of_text =
                model.mean_log_probabilities(sources()[i], std::vector<std::string_view>{targets()[i]})[0];
            auto const scores =
                model.score_tokens(std::vector<std::vector<Token>>{tokenizer.source().encode(sources()[i])},
                                   std::vector<std::vector<Token>>{tokenizer.target().encode(targets()[i])})[0];
            double const of_tokens = std::accumulate(scores.begin(), scores.end(), 0.0);
            CHECK(of_text == of_tokens / static_cast<double>(scores.size()));
            sum += of_text;
        }
        return sum;
    };
    double const before = surety();
    Trainer<tiny::Autoregression>::Options training;
    training.steps = 60;
    training.learning_rate = {.peak = 1e-2, .warm_up = 5};
    training.tokens_per_batch = 128;
    training.bleu_sentences = 0;
    (void)Trainer<tiny::Autoregression>(model, training).fit(corpus_of(tokenizer, sources()));
    CHECK(surety() > before + 0.5 * static_cast<double>(targets().size()));  // half a nat a token

    TemporaryFolder const folder;
    text::MemoryLines lines{sources()};
    (void)distill(model, lines, folder / "distilled");
    io::LineReader distilled(folder / "distilled");
    auto const expected = model.generate(sources());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        std::string line;
        REQUIRE(distilled.next(line));
        CHECK(line == expected[i]);
    }
}

}  // namespace
