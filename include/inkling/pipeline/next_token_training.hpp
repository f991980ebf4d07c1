#pragma once

#include <inkling/objective/next_token_loss.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/text/packing.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// How a model of the next token learns: each row of a target is to say the row behind it. One kind of
/// pipeline::Training.
template <class Pipeline, class Objective_>
class NextTokenTraining {
    static_assert(
        objective::reads_outputs_alone<Objective_>,
        "inkling::Trainer: argument 2 compares what was clean with an estimate of it, and a model of the next "
        "token has neither: name objective::CrossEntropy, or an objective with 'outputs_alone'.");

public:
    using Device = typename Pipeline::Device;
    using Batch = objective::NextTokenBatch<Device>;
    using Losses = objective::Losses<Device>;

    /// @param pipeline  must outlive this
    /// @param options   a trainer's
    template <class Options>
    NextTokenTraining(Pipeline const& pipeline, Options const& options)
        : pipeline_(&pipeline), objective_(options.objective) {}

    /// Whatever is trained here can generate.
    void require_generates() const {}

    /// What of a trainer's options must not change within a run: nothing but what all trainings share.
    void add_options(nlohmann::json&) const {}

    /// Nothing is followed from update to update, and nothing kept of it.
    void follow(nn::Pass<Device>&, Index) {}
    void learn(nn::Pass<Device>&, Batch const&, Losses const&) {}
    template <class Keep>
    void save(Keep const&) const {}
    template <class Find>
    void restore(Find const&) {}

    /// Brings a batch to the device; nothing of it is drawn.
    [[nodiscard]] Batch batch(nn::Pass<Device>& pass, text::ParallelCorpus const& corpus,
                              std::span<Index const> sentences, std::uint64_t, std::uint32_t, bool) {
        text::pack(corpus, sentences, batch_, pipeline_->wrapping());
        next_.resize(batch_.target_tokens.size());
        for (std::size_t s = 0; s + 1 < batch_.target_offsets.size(); ++s) {
            auto const begin = static_cast<std::size_t>(batch_.target_offsets[s]);
            auto const end = static_cast<std::size_t>(batch_.target_offsets[s + 1]);
            for (std::size_t i = begin; i + 1 < end; ++i) next_[i] = batch_.target_tokens[i + 1];
            next_[end - 1] = pipeline_->tokenizer().specials().eos;
        }
        auto const& model = pipeline_->model();
        Batch result;
        result.source = to_device<Device>(pass, batch_.source_offsets, batch_.source_tokens, places_,
                                          model.longest_source(), "source");
        result.target = to_device<Device>(pass, batch_.target_offsets, batch_.target_tokens, places_,
                                          model.longest_target(), "target");
        result.next = to_device<Token>(pass, std::span<Token const>(next_));
        return result;
    }

    /// Loss of a batch, and where pass.gradients is set its gradient, added there.
    [[nodiscard]] Losses loss(nn::Pass<Device>& pass, Batch const& batch) {
        return objective::next_token_loss(pass, pipeline_->space(), pipeline_->model(), objective_, batch, saved_);
    }

private:
    Pipeline const* pipeline_;
    Objective_ objective_;
    objective::NextTokenSaved<typename Pipeline::SpaceType, typename Pipeline::ModelType> saved_;
    text::PackedBatch batch_;
    std::vector<Token> places_, next_;
};

}  // namespace inkling::pipeline
