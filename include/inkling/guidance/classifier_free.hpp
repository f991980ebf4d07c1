#pragma once

#include <inkling/core/error.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/text/joining.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace inkling::guidance {

/// Settings of ClassifierFree.
template <class ModelOptions>
struct ClassifierFreeOptions {
    ModelOptions model{};   ///< of the denoiser that is guided
    double guidance = 2.5;  ///< g, finite; 1: none, above 4: text that repeats itself
};

/// A denoiser whose estimates are driven away from what it would say without the condition:
/// z0_hat = f(z_t, 0, 0) + g (f(z_t, c, previous) - f(z_t, 0, 0)).
///
/// Condition and last estimate are dropped together: the rows that are kept become 0, as text::SpanMasking hides them
/// in training. What is kept, and lines of which nothing is, are estimated as without guidance. A step costs two of the
/// denoiser's, and one where g is 1 or nothing is kept. It is the same model in training and in its file, of which g is
/// no part: it may be another one whenever a file is loaded.
/// Source: Ho and Salimans 2021, arXiv:2207.12598; in the form of Strudel et al. 2022, arXiv:2211.04236, section 3.
/// @tparam Model  joins source and target, so that its condition is rows of what it cleans
template <Denoiser Model>
    requires(joins_source<Model>)
class ClassifierFree : public Model {
public:
    using Device = typename Model::Device;
    using Scalar = typename Device::Scalar;
    using Options = ClassifierFreeOptions<typename Model::Options>;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;

    /// A source, and what is kept of the lines that are cleaned.
    struct Encoded : Model::Encoded {
        Segments parts{};
        ConstView without{};  ///< [P, 3], (0, 0, 0) of what is kept, else (1, 0, 0); empty: no guidance
        ConstView shares{};   ///< [P, 3], (g, 1 - g, 0) of what is guided, else (1, 0, 0)
    };

    /// @throws Error as the denoiser does, and when `guidance` is not finite
    template <class Space>
    ClassifierFree(nn::ParameterLayout& layout, Options const& options, Space const& space)
        : Model(layout, options.model, space), guidance_(options.guidance) {
        require(std::isfinite(guidance_), "inkling::guidance::ClassifierFree: guidance is ", guidance_,
                ", expected a finite number");
    }

    [[nodiscard]] double guidance() const { return guidance_; }

    /// The denoiser's own, and nothing is kept yet.
    template <class... Saved>
    [[nodiscard]] Encoded encode(nn::Pass<Device>& pass, PackedSequences const& source, Saved*... saved) const {
        return {Model::encode(pass, source, saved...)};
    }

    /// Tells which parts of the lines that will be cleaned are kept; whoever cleans calls it once, before all steps.
    /// @param parts  those of `lines`, in the backend's memory
    void keep(nn::Pass<Device>& pass, Encoded& encoded, text::JoinedBatch const& lines, Segments const& parts) const {
        if (guidance_ == 1.0) return;
        std::vector<Scalar> without, shares;
        bool any = false;
        for (std::size_t s = 0; s + 1 < lines.first_parts.size(); ++s) {
            auto const own = std::span<std::uint8_t const>(lines.kept)
                                 .subspan(static_cast<std::size_t>(lines.first_parts[s]),
                                          static_cast<std::size_t>(lines.first_parts[s + 1] - lines.first_parts[s]));
            bool conditioned = false;
            for (std::size_t p = 0; p < own.size(); ++p) {
                auto const at = static_cast<std::size_t>(lines.first_parts[s]) + p;
                conditioned = conditioned || (own[p] != text::part::written && lines.parts[at + 1] > lines.parts[at]);
            }
            any = any || conditioned;
            for (std::uint8_t const what : own) {
                bool const written = what == text::part::written;
                for (double const factor : {written ? 1.0 : 0.0, 0.0, 0.0})
                    without.push_back(static_cast<Scalar>(factor));
                double const g = written && conditioned ? guidance_ : 1.0;
                for (double const factor : {g, 1.0 - g, 0.0}) shares.push_back(static_cast<Scalar>(factor));
            }
        }
        if (!any) return;
        encoded.parts = parts;
        encoded.without = to_device(pass, without);
        encoded.shares = to_device(pass, shares);
    }

    /// The denoiser's own: in training, and where nothing is kept.
    template <class Saved>
    void predict(nn::Pass<Device>& pass, PackedSequences const& target, Encoded const& encoded, ConstView z_t,
                 ConstView time, ConstView previous, View z0_hat, Saved* saved) const {
        Model::predict(pass, target, encoded, z_t, time, previous, z0_hat, saved);
    }
    /// z0_hat [N, D], guided.
    void predict(nn::Pass<Device>& pass, PackedSequences const& target, Encoded const& encoded, ConstView z_t,
                 ConstView time, ConstView previous, View z0_hat) const {
        Model::predict(pass, target, encoded, z_t, time, previous, z0_hat);
        if (encoded.without.empty()) return;
        nn::Scope<Device> const scope(pass.workspace);
        View const without = pass.take(z_t.rows, z_t.cols), nothing = pass.take_zeros(z_t.rows, z_t.cols);
        combine(pass.device, encoded.parts, encoded.without, z_t, {}, {}, without);
        View const unconditioned = pass.take(z_t.rows, z_t.cols);
        Model::predict(pass, target, encoded, ConstView(without), time, ConstView(nothing), unconditioned);
        combine(pass.device, encoded.parts, encoded.shares, z0_hat, unconditioned, {}, z0_hat);
    }

private:
    [[nodiscard]] static ConstView to_device(nn::Pass<Device>& pass, std::vector<Scalar> const& factors) {
        View const memory = pass.take(static_cast<Index>(factors.size()) / 3, 3);
        upload(pass.device, std::span<Scalar const>(factors), memory.data);
        return memory;
    }

    double guidance_;
};

namespace detail {

template <class Options>
inline constexpr bool is_classifier_free = false;
template <class ModelOptions>
inline constexpr bool is_classifier_free<ClassifierFreeOptions<ModelOptions>> = true;

}  // namespace detail

/// Names the settings of the denoiser, so that a model file is the same with guidance and without.
template <class Options, class Visit>
    requires detail::is_classifier_free<std::remove_const_t<Options>>
void describe(Options& options, Visit const& visit) {
    describe(options.model, visit);
}

}  // namespace inkling::guidance
