#pragma once

#include <inkling/core/error.hpp>
#include <inkling/features/concept.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace inkling::features {

/// Settings of DenoiserStates.
struct DenoiserStatesOptions {
    /// which hidden states are read, of 0 (what goes into the first layer) to the denoiser's depth, rising; none: those
    /// from half of the depth to three quarters of it
    std::vector<Index> layers{};
    std::vector<double> times{0.3};  ///< the levels at which they are read, in [0, 1]: 0 is the text as it is
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, DenoiserStatesOptions>
void describe(Options& options, Visit const& visit) {
    visit("layers", options.layers);
    visit("times", options.times);
}

/// A line as it goes into a denoiser: noised to its level.
template <class Model>
struct NoisedLines {
    MatrixView<typename Model::Device::Scalar const> z_t;       ///< [N, D]
    MatrixView<typename Model::Device::Scalar const> time;      ///< [S * L, width] from embed_times
    MatrixView<typename Model::Device::Scalar const> previous;  ///< [N, D], zeros: there was no estimate before
    typename Model::Encoded source{};
};

/// Hidden states of some layers of a frozen denoiser that reads the whole line, noised, at some levels.
///
/// What it must know to clean text, a task may use. Which layers and levels serve best depends on both; the first
/// layers are close to the words, and so are the last, which say them again.
/// Source: Mukhopadhyay et al. 2023, arXiv:2311.17921, section 3; Baranchuk et al. 2021, arXiv:2112.03126. Both read
/// images; here rows of text stand for their places.
class DenoiserStates {
public:
    static constexpr std::string_view kind = "denoiser states";
    using Options = DenoiserStatesOptions;

    /// What is read, reused from step to step.
    template <class Model>
    struct Saved {
        std::vector<MatrixView<typename Model::Device::Scalar>> states;  ///< [J], those that are read
        std::vector<MatrixView<typename Model::Device::Scalar>> places;  ///< [depth + 1], the same by their numbers
    };

    /// @throws Error when a layer is none of the denoiser's or comes twice, or a time is not in [0, 1]
    template <EmbeddingSpace Space, LayeredDenoiser Model>
    DenoiserStates(nn::ParameterLayout&, Options options, Space const&, Model const& model)
        : options_(std::move(options)), depth_(model.depth()), width_(model.hidden_width()) {
        static_assert(joins_source<Model>,
                      "inkling::features::DenoiserStates: the denoiser must be one that joins sources to targets, so "
                      "that a line is what it cleans ('static constexpr bool joins_source = true').");
        constexpr char const* where = "inkling::features::DenoiserStates: ";
        if (options_.layers.empty())
            for (Index layer = depth_ / 2; layer <= (3 * depth_ + 3) / 4; ++layer) options_.layers.push_back(layer);
        Index least = 0;
        for (Index const layer : options_.layers) {
            require(layer >= 0 && layer <= depth_, where, "layer ", layer, " is asked for, expected 0 to ", depth_,
                    ", as many as the denoiser has");
            require(layer >= least, where, "layer ", layer, " is behind layer ", least - 1,
                    ", expected layers in rising order");
            least = layer + 1;
        }
        require(!options_.times.empty(), where, "there is no time, expected at least one");
        for (double const time : options_.times)
            require(time >= 0.0 && time <= 1.0, where, "a time is ", time, ", expected a number in [0, 1]");
    }

    /// As they are used, the layers named.
    [[nodiscard]] Options const& options() const { return options_; }
    /// Layers of the denoiser.
    [[nodiscard]] Index depth() const { return depth_; }
    [[nodiscard]] Index states() const { return static_cast<Index>(options_.layers.size()); }
    [[nodiscard]] Index width() const { return width_; }
    [[nodiscard]] std::span<double const> levels() const { return options_.times; }
    /// There is nothing to be learned.
    [[nodiscard]] bool learns() const { return false; }

    /// J matrices [N, W], in the order of the layers.
    template <EmbeddingSpace Space, LayeredDenoiser Model, Backend B = typename Model::Device>
    [[nodiscard]] std::span<MatrixView<typename B::Scalar> const> read(Frozen<Space, Model> const& frozen, nn::Pass<B>&,
                                                                       Batch<B> const& batch,
                                                                       Saved<Model>& saved) const {
        make_places(frozen.pass, batch, saved);
        auto const mark = frozen.pass.workspace.mark();
        auto const lines = noised(frozen, batch);
        frozen.model.hidden_states(frozen.pass, batch.lines, lines.source, lines.z_t, lines.time, lines.previous,
                                   {saved.places});
        frozen.pass.workspace.release(mark);
        return saved.states;
    }
    /// Does nothing: nothing is learned.
    template <EmbeddingSpace Space, LayeredDenoiser Model, Backend B = typename Model::Device>
    void read_backward(Frozen<Space, Model> const&, nn::Pass<B>&, Batch<B> const&, Saved<Model>&,
                       std::span<MatrixView<typename B::Scalar> const>) const {}

    /// The lines of a batch with their noise, in memory of the pass.
    template <EmbeddingSpace Space, LayeredDenoiser Model>
    [[nodiscard]] NoisedLines<Model> noised(Frozen<Space, Model> const& frozen,
                                            Batch<typename Model::Device> const& batch) const {
        auto& pass = frozen.pass;
        Index const rows = batch.lines.segments.rows, latent = frozen.space.width();
        auto const z_t = pass.take(rows, latent);
        frozen.space.embed(pass, batch.lines.tokens, z_t);
        combine(pass.device, batch.lines.segments, batch.shares, z_t, {}, batch.noise, z_t);
        return {z_t, frozen.model.embed_times(pass, batch.labels), pass.take_zeros(rows, latent),
                frozen.model.encode(pass, batch.lines)};
    }

    /// Takes memory for what is read.
    template <Backend B, class Saved>
    void make_places(nn::Pass<B>& pass, Batch<B> const& batch, Saved& saved) const {
        saved.states.resize(options_.layers.size());
        saved.places.assign(static_cast<std::size_t>(depth_) + 1, {});
        for (std::size_t j = 0; j < saved.states.size(); ++j)
            saved.states[j] = saved.places[static_cast<std::size_t>(options_.layers[j])] =
                pass.take(batch.lines.segments.rows, width_);
    }

private:
    Options options_;
    Index depth_;
    Index width_;
};

}  // namespace inkling::features
