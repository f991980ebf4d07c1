#pragma once

#include <inkling/core/hash.hpp>
#include <inkling/features/concept.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/schedule/gaussian.hpp>
#include <inkling/text/packing.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// Brings lines to a device as a source of features reads them: each once for every level, with its noise.
///
/// Noise is keyed by the line's tokens, so that a line is read the same wherever it stands.
template <class Pipeline>
class FeatureBatches {
public:
    using Device = typename Pipeline::Device;
    using Scalar = typename Device::Scalar;

    /// @param pipeline  must outlive this
    /// @param levels    a source's: times in [0, 1], which stay the source's; none: lines are read as they are
    /// @param states    J, of the source
    FeatureBatches(Pipeline const& pipeline, std::span<double const> levels, Index states)
        : pipeline_(&pipeline), levels_(levels), states_(states) {
        double const factor = schedule::training_noise_factor(pipeline.schedule());
        for (double const time : levels) {
            double const alpha_bar = pipeline.schedule().alpha_bar(time);
            auto const level = schedule::noising(alpha_bar, factor);
            for (double const share : {level.z0, 0.0, level.noise}) shares_.push_back(static_cast<Scalar>(share));
            labels_.push_back(pipeline.model().time_label({time, alpha_bar}));
        }
    }

    /// Times that a line is read, L.
    [[nodiscard]] Index copies() const { return std::max<Index>(1, static_cast<Index>(levels_.size())); }

    /// Takes all lines out and keeps the memory.
    void clear() { batch_.clear(); }
    /// Appends a line, which is tokens without special ones.
    void add(std::span<Token const> line) {
        Hash hash(1);
        for (Token const token : line) hash.add(static_cast<std::uint64_t>(token));
        for (Index level = 0; level < copies(); ++level) {
            hash.add(static_cast<std::uint64_t>(level));
            batch_.add({}, line, static_cast<Index>(static_cast<std::uint32_t>(hash.value())), pipeline_->wrapping());
        }
    }
    /// All lines that were added.
    /// @param draw  another one is another noise
    [[nodiscard]] features::Batch<Device> batch(nn::Pass<Device>& pass, std::uint64_t seed, std::uint32_t draw) {
        auto const& offsets = batch_.target_offsets;
        features::Batch<Device> result;
        result.levels = copies();
        result.lines = to_device<Device>(pass, offsets, batch_.target_tokens, places_,
                                         pipeline_->model().longest_target(), "labelled");
        Segments const& lines = result.lines.segments;
        offsets_.resize(offsets.size());
        for (std::size_t i = 0; i < offsets.size(); ++i) offsets_[i] = states_ * offsets[i];
        result.stacked = {to_device<Index>(pass, std::span<Index const>(offsets_)).data, lines.count,
                          states_ * lines.rows, states_ * lines.longest};
        for (std::size_t i = 0; i < offsets.size(); ++i) offsets_[i] = static_cast<Index>(i);
        result.single = {to_device<Index>(pass, std::span<Index const>(offsets_)).data, lines.count, lines.count, 1};
        if (levels_.empty()) return result;
        all_shares_.clear();
        all_labels_.clear();
        for (Index line = 0; line < result.size(); ++line) {
            all_shares_.insert(all_shares_.end(), shares_.begin(), shares_.end());
            all_labels_.insert(all_labels_.end(), labels_.begin(), labels_.end());
        }
        result.shares = {to_device<Scalar>(pass, std::span<Scalar const>(all_shares_)).data, lines.count, 3};
        result.labels = to_device<double>(pass, std::span<double const>(all_labels_));
        auto const noise = pass.take(lines.rows, pipeline_->space().width());
        fill_normal(pass.device, RandomStream{seed, Purpose::feature_noise, 0, draw}, lines,
                    to_device<Index>(pass, std::span<Index const>(batch_.sentences)), noise);
        result.noise = noise;
        return result;
    }

private:
    Pipeline const* pipeline_;
    std::span<double const> levels_;
    Index states_;
    std::vector<Scalar> shares_, all_shares_;  ///< of each level, and of each line's
    std::vector<double> labels_, all_labels_;
    text::PackedBatch batch_;
    std::vector<Token> places_;
    std::vector<Index> offsets_;
};

}  // namespace inkling::pipeline
