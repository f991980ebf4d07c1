#include <inkling/objective/infilling.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include "tiny.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;

/// What a training step was given, on the host.
struct Seen {
    std::vector<float> z_t, embedded, row_weights;
    std::vector<Token> tokens;
    std::vector<Index> offsets;
};

/// An Infiller that keeps what it is asked to clean.
struct Watching : denoiser::Infiller<Device> {
    using Infiller::Infiller;
    static inline Seen seen;

    void predict(nn::Pass<Device>& pass, PackedSequences const& target, Encoded const& encoded, ConstView z_t,
                 ConstView time, ConstView previous, View z0_hat, Saved* saved = nullptr) const {
        seen.z_t.assign(z_t.data, z_t.data + z_t.size());
        seen.tokens.assign(target.tokens.data, target.tokens.data + target.tokens.size);
        seen.offsets.assign(target.segments.offsets, target.segments.offsets + target.segments.count + 1);
        Infiller::predict(pass, target, encoded, z_t, time, previous, z0_hat, saved);
    }
};

/// Of a line of five rows: shown, written, written, hidden, written. And a pad at its end.
struct FixedMask {
    void draw(RandomStream const&, std::span<Token const> line, Index, Token pad, text::JoinedBatch& batch) const {
        auto const begin = static_cast<Index>(batch.tokens.size());
        batch.tokens.insert(batch.tokens.end(), line.begin(), line.end());
        batch.tokens.push_back(pad);
        batch.end_part(begin + 1, text::part::kept);
        batch.end_part(begin + 3, text::part::written);
        batch.end_part(begin + 4, text::part::hidden);
        batch.end_part(text::part::written);
        batch.end_sequence();
    }
};

/// Rounding that keeps what its rows weigh.
struct WatchingRounding : objective::Rounding {
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, objective::Prediction<B> const& prediction,
                  objective::Losses<B>& losses) const {
        auto const& weights = prediction.row_weights;
        Watching::seen.row_weights.assign(weights.data, weights.data + weights.size);
        Watching::seen.embedded.assign(prediction.embedded.data, prediction.embedded.data + prediction.embedded.size());
        Rounding::evaluate(pass, space, prediction, losses);
    }
};

using Pipeline = TextDiffusion<schedule::Cosine, embedding::Learned, Watching, sampler::Ddpm>;
using Masked = objective::Infilling<WatchingRounding, FixedMask>;

static_assert(objective::is_masked<Masked> && !objective::is_masked<objective::Rounding>);
static_assert(objective::Masking<FixedMask> && objective::Masking<text::SpanMasking> && !objective::Masking<int>);

Pipeline::Options options() {
    Pipeline::Options options;
    options.embedding = {.width = 4};
    options.denoiser.width = 8;
    options.denoiser.layers = 1;
    options.denoiser.heads = 2;
    options.denoiser.longest = 8;
    options.device = {.threads = 1};
    return options;
}

}  // namespace

TEST_CASE("Trainer: of a line in parts, what is shown is clean, what is hidden is 0, and only what is written counts") {
    Pipeline pipeline(tiny::tokenizer(), options());
    auto const words = tiny::tokenizer();
    text::ParallelCorpus corpus;
    for (char const* line : {"black ink dries", "paper falls slowly"}) corpus.add({}, words.encode(line));
    Trainer<Pipeline, Masked, train::InverseSquareRoot> trainer(
        pipeline, {.steps = 1, .tokens_per_batch = 64, .bleu_sentences = 0});
    trainer.fit(corpus);
    Seen const& seen = Watching::seen;
    auto const specials = words.specials();
    REQUIRE(seen.offsets == std::vector<Index>{0, 6, 12});
    double sum = 0.0;
    for (std::size_t row = 0; row < 12; ++row) {
        CAPTURE(row);
        std::size_t const place = row % 6;
        if (place == 0) CHECK(seen.tokens[row] == specials.bos);
        if (place == 4) CHECK(seen.tokens[row] == specials.eos);
        if (place == 5) CHECK(seen.tokens[row] == specials.pad);
        bool const shown = place == 0, hidden = place == 3;
        std::vector<float> const z(seen.z_t.begin() + static_cast<std::ptrdiff_t>(4 * row),
                                   seen.z_t.begin() + static_cast<std::ptrdiff_t>(4 * row + 4));
        std::vector<float> const clean(seen.embedded.begin() + static_cast<std::ptrdiff_t>(4 * row),
                                       seen.embedded.begin() + static_cast<std::ptrdiff_t>(4 * row + 4));
        CHECK((z == clean) == shown);
        CHECK((z == std::vector<float>(4)) == hidden);
        CHECK(seen.row_weights[row] == (shown || hidden ? 0.0f : 0.125f));  // eight rows are written
        sum += static_cast<double>(seen.row_weights[row]);
    }
    CHECK(sum == 1.0);
}

TEST_CASE("where a target continues its source, nothing stands between them") {
    Pipeline const pipeline(tiny::tokenizer(), options());
    auto const wrapping = pipeline.wrapping();
    CHECK(wrapping.source_length(3) == 4);  // bos in front
    CHECK(wrapping.target_length(3) == 5);  // of a line: bos and eos
    auto const words = tiny::tokenizer();
    std::vector<std::string> const beginnings{"black ink", "paper"};
    auto const rest = pipeline.generate_with(beginnings, {.seed = 3});
    CHECK(rest[0].tokens.size() == 5);  // of 8 rows, bos and two words are there
    CHECK(rest[1].tokens.size() == 6);
    CHECK(Watching::seen.tokens[0] == words.specials().bos);
    CHECK(Watching::seen.tokens[1] == words.encode("black")[0]);
    CHECK(Watching::seen.tokens[2] == words.encode("ink")[0]);
}
