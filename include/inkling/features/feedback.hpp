#pragma once

#include <inkling/core/error.hpp>
#include <inkling/features/denoiser_states.hpp>
#include <inkling/nn/feed_forward.hpp>
#include <inkling/nn/layer_norm.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace inkling::features {

/// Settings of Feedback.
struct FeedbackOptions {
    DenoiserStatesOptions states{};  ///< what is read; every layer in the upper half, so that it feeds a lower one
    Index width = 32;                ///< of the small maps, 1 to 2^20
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, FeedbackOptions>
void describe(Options& options, Visit const& visit) {
    describe(options.states, visit);
    visit("width", options.width);
}

/// Hidden states of a second reading: what the first one found in deep layers is added to the early ones that mirror
/// them, through small maps.
///
/// The first reading has no gradient. Layer l feeds layer depth - l through second(gelu(first(norm(state)))), where the
/// second map starts as 0: an untrained second reading is the first, to the bit. The denoiser stays frozen; gradients
/// go through it.
/// Source: Mukhopadhyay et al. 2023, arXiv:2311.17921, section 3.3 ("DifFeed").
class Feedback {
public:
    static constexpr std::string_view kind = "feedback";
    using Options = FeedbackOptions;

    /// Both readings, reused from step to step.
    template <class Model>
    struct Saved {
        using B = typename Model::Device;
        using View = MatrixView<typename B::Scalar>;
        DenoiserStates::Saved<Model> first, second;
        std::vector<nn::LayerNorm::Saved<B>> norms;                     ///< [J]
        std::vector<nn::FeedForward::Saved<B>> maps;                    ///< [J]
        std::vector<MatrixView<typename B::Scalar const>> added;        ///< [depth + 1]
        std::vector<MatrixView<typename B::Scalar const>> slopes_read;  ///< [depth + 1]
        std::vector<View> slopes_added;                                 ///< [depth + 1]
        NoisedLines<Model> lines;
        typename Model::Saved model;
    };

    /// @throws Error as DenoiserStates, when a layer is in the lower half, or the width is out of its range
    template <EmbeddingSpace Space, LayeredDenoiser Model>
    Feedback(nn::ParameterLayout& layout, Options const& options, Space const& space, Model const& model)
        : states_(layout, options.states, space, model), options_{states_.options(), options.width} {
        constexpr char const* where = "inkling::features::Feedback: ";
        constexpr Index most = Index{1} << 20;
        require(options_.width >= 1 && options_.width <= most, where, "width is ", options_.width, ", expected 1 to ",
                most);
        Index const width = states_.width();
        for (Index const layer : options_.states.layers) {
            require(2 * layer >= states_.depth(), where, "layer ", layer, " is to feed layer ", mirror(layer),
                    ", expected one of the upper half of ", states_.depth(), " layers");
            std::string const name = "feedback." + std::to_string(layer);
            norms_.emplace_back(layout, name + ".norm", width);
            nn::Linear const first(layout, name + ".first", width, options_.width, true);
            nn::Linear const second(
                layout.add_matrix(name + ".second.weight", width, options_.width, nn::Initializer::zero()),
                layout.add_vector(name + ".second.bias", width, nn::Initializer::zero()));
            maps_.push_back({first, second, backend::Activation::gelu});
        }
    }

    /// As they are used, the layers named.
    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Index states() const { return states_.states(); }
    [[nodiscard]] Index width() const { return states_.width(); }
    [[nodiscard]] std::span<double const> levels() const { return states_.levels(); }
    [[nodiscard]] bool learns() const { return true; }

    /// J matrices [N, W] of the second reading, in the order of the layers.
    template <EmbeddingSpace Space, LayeredDenoiser Model, Backend B = typename Model::Device>
    [[nodiscard]] std::span<MatrixView<typename B::Scalar> const> read(Frozen<Space, Model> const& frozen,
                                                                       nn::Pass<B>& pass, Batch<B> const& batch,
                                                                       Saved<Model>& saved) const {
        using ConstView = MatrixView<typename B::Scalar const>;
        bool const training = pass.gradients != nullptr;
        Index const rows = batch.lines.segments.rows;
        auto const& lines = saved.lines = states_.noised(frozen, batch);
        auto const look = [&](auto& seen, auto* keep) {
            states_.make_places(pass, batch, seen);
            frozen.model.hidden_states(frozen.pass, batch.lines, lines.source, lines.z_t, lines.time, lines.previous,
                                       {seen.places, saved.added}, keep);
        };
        saved.added.clear();
        look(saved.first, static_cast<typename Model::Saved*>(nullptr));
        saved.added.assign(saved.first.places.size(), {});
        saved.norms.resize(norms_.size());
        saved.maps.resize(maps_.size());
        for (std::size_t j = 0; j < maps_.size(); ++j) {
            auto const normalized = pass.take(rows, width());
            norms_[j].forward(pass, ConstView(saved.first.states[j]), normalized, &saved.norms[j]);
            auto const fed = pass.take(rows, width());
            maps_[j].forward(pass, ConstView(normalized), fed, training ? &saved.maps[j] : nullptr);
            saved.added[fed_by(j)] = fed;
        }
        look(saved.second, training ? &saved.model : nullptr);
        return saved.second.states;
    }
    /// Adds the gradients of the maps.
    template <EmbeddingSpace Space, LayeredDenoiser Model, Backend B = typename Model::Device>
    void read_backward(Frozen<Space, Model> const& frozen, nn::Pass<B>& pass, Batch<B> const& batch,
                       Saved<Model>& saved, std::span<MatrixView<typename B::Scalar> const> dstates) const {
        using ConstView = MatrixView<typename B::Scalar const>;
        nn::Scope<B> const scope(pass.workspace);
        Index const rows = batch.lines.segments.rows;
        saved.slopes_read.assign(saved.added.size(), {});
        saved.slopes_added.assign(saved.added.size(), {});
        for (std::size_t j = 0; j < maps_.size(); ++j) {
            saved.slopes_read[static_cast<std::size_t>(options_.states.layers[j])] = dstates[j];
            saved.slopes_added[fed_by(j)] = pass.take(rows, width());
        }
        frozen.model.hidden_states_backward(frozen.pass, batch.lines, saved.lines.source, saved.model,
                                            {saved.slopes_read, saved.slopes_added});
        auto const dnormalized = pass.take(rows, width());
        for (std::size_t j = 0; j < maps_.size(); ++j) {
            maps_[j].backward(pass, saved.maps[j], ConstView(saved.slopes_added[fed_by(j)]), dnormalized);
            norms_[j].backward(pass, saved.norms[j], ConstView(dnormalized), dnormalized);
        }
    }

private:
    [[nodiscard]] Index mirror(Index layer) const { return states_.depth() - layer; }
    [[nodiscard]] std::size_t fed_by(std::size_t j) const {
        return static_cast<std::size_t>(mirror(options_.states.layers[j]));
    }

    DenoiserStates states_;
    Options options_;
    std::vector<nn::LayerNorm> norms_;
    std::vector<nn::FeedForward> maps_;
};

}  // namespace inkling::features
