#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/text/concept.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Settings of Empirical.
struct EmpiricalOptions {
    std::vector<std::vector<Token>> lines{};  ///< what there is to generate, as the tokenizer encodes it; at least one
    Token pad = text::SpecialTokens{}.pad;    ///< fills the places behind a shorter line; decoding leaves it out
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, EmpiricalOptions>
void describe(Options& options, Visit const& visit) {
    visit("lines", options.lines);
    visit("pad", options.pad);
}

/// The exact denoiser of a few given lines: E[z0 | z_t] where each of them is as probable as the others. Nothing is
/// trained.
///
/// The posterior mean is the mean of the lines' embeddings with weights softmax(-|z_t - a z_n|^2 / (2 s^2)), which is
/// attention with z_t as the query and the lines as keys and values: expand the square, and what is the same for all
/// lines drops out. Given enough steps sampling lands on one of the lines, whatever schedule and sampler: the reference
/// that all of them are tested with, and a way to see what they do without a network.
///
/// Sources are ignored. Every target has as many tokens as the longest line; shorter lines are continued with `pad`.
/// Source: the minimiser of the regression loss over a finite data set, as in Karras et al. 2022, arXiv:2206.00364,
/// appendix B.3.
template <Backend B>
class Empirical {
public:
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = EmpiricalOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;

    /// The lines in the space as it is now; M lines of L tokens.
    struct Encoded {
        View lines;                        ///< [M, L * D + 1]: z_n, one row a line, and behind it -|z_n|^2 / 2
        Segments segments;                 ///< all lines as one sentence of M rows
        Index const* source_of = nullptr;  ///< not read
    };

    /// @throws Error when there is no line, or a token outside of the space's vocabulary
    template <EmbeddingSpaceOn<B> Space>
    Empirical(nn::ParameterLayout&, Options const& options, Space const& space)
        : count_(static_cast<Index>(options.lines.size())),
          width_(space.width()),
          embed_([space](nn::Pass<B>& pass, TokenView tokens, View z0) { space.embed(pass, tokens, z0); }) {
        for (auto const& line : options.lines) length_ = std::max(length_, static_cast<Index>(line.size()));
        require(length_ > 0, "inkling::denoiser::Empirical: ", count_, " lines with ", length_,
                " tokens in the longest, expected at least one line with a token");
        auto const check = [&](Token token) {
            require(token >= 0 && token < space.vocabulary(), "inkling::denoiser::Empirical: token ", token,
                    ", expected one of a vocabulary of ", space.vocabulary());
        };
        check(options.pad);
        for (auto const& line : options.lines) {
            for (Token const token : line) check(token);
            tokens_.insert(tokens_.end(), line.begin(), line.end());
            tokens_.resize(tokens_.size() + static_cast<std::size_t>(length_) - line.size(), options.pad);
        }
    }

    [[nodiscard]] Index longest_source() const { return std::numeric_limits<Index>::max(); }
    [[nodiscard]] Index longest_target() const { return length_; }

    /// Embeds the lines; what the source says does not matter. Waits for the device.
    [[nodiscard]] Encoded encode(nn::Pass<B>& pass, PackedSequences const&) const {
        Index const row = length_ * width_;
        Encoded encoded{pass.take(count_, row + 1), {one_sentence(pass, count_), 1, count_, count_}, nullptr};
        nn::Scope<B> const scope(pass.workspace);
        Index const rows = count_ * length_;
        Token* const tokens = pass.workspace.template take<Token>(rows);
        upload(pass.device, std::span<Token const>(tokens_), tokens);
        View const z0 = pass.take(rows, width_);
        embed_(pass, TokenView(tokens, rows), z0);

        std::vector<Scalar> host(static_cast<std::size_t>(z0.size()));
        download(pass.device, static_cast<Scalar const*>(z0.data), std::span<Scalar>(host));
        std::vector<Scalar> lines;
        lines.reserve(static_cast<std::size_t>(encoded.lines.size()));
        for (auto line = host.begin(); line != host.end(); line += row) {
            double square = 0.0;
            for (auto value = line; value != line + row; ++value)
                square += static_cast<double>(*value) * static_cast<double>(*value);
            lines.insert(lines.end(), line, line + row);
            lines.push_back(static_cast<Scalar>(-0.5 * square));
        }
        upload(pass.device, std::span<Scalar const>(lines), encoded.lines.data);
        return encoded;
    }

    /// The share of signal is all it needs to know.
    [[nodiscard]] double time_label(NoiseLevel level) const { return level.alpha_bar; }

    /// [K, 3]: what z_t is multiplied by, and what the lines' last column is, for attention's scores; the third is not
    /// used. Waits for the device.
    [[nodiscard]] View embed_times(nn::Pass<B>& pass, VectorView<double const> labels) const {
        std::vector<double> levels(static_cast<std::size_t>(labels.size));
        download(pass.device, labels.data, std::span<double>(levels));
        double const unit = std::sqrt(static_cast<double>(length_ * width_ + 1));  // attention divides by it
        std::vector<Scalar> factors;
        for (double const alpha_bar : levels) {
            double const variance =
                std::max(1.0 - alpha_bar, 1e-8);  // without any noise the nearest line is the answer
            for (double const factor : {std::sqrt(alpha_bar) / variance, alpha_bar / variance, 0.0})
                factors.push_back(static_cast<Scalar>(unit * factor));
        }
        View const result = pass.take(labels.size, 3);
        upload(pass.device, std::span<Scalar const>(factors), result.data);
        return result;
    }

    /// z0_hat [N, D] = E[z0 | z_t].
    ///
    /// @param z_t   [N, D], without gaps between its rows, as z0_hat
    /// @param time  [S, 3] from embed_times, or one row for all sentences with stride 0
    /// @throws Error when a sentence has not as many tokens as the longest line
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, ConstView z_t, ConstView time,
                 ConstView, View z0_hat) const {
        Index const sentences = target.segments.count;
        require(target.segments.rows == sentences * length_ && target.segments.longest == length_,
                "inkling::denoiser::Empirical: ", sentences, " sentences of ", target.segments.rows,
                " tokens in all, expected ", length_, " each, as in the longest line (leave length_beam at 1)");
        nn::Scope<B> const scope(pass.workspace);
        Index const row = length_ * width_;
        View const query = pass.take(sentences, row + 1);
        View const mean = pass.take(sentences, row + 1);
        View const scaled = pass.take(z_t.rows, z_t.cols);
        combine(pass.device, target.segments, time, z_t, {}, {}, scaled);
        scale(pass.device, Scalar{1}, View(scaled.data, sentences, row), query.columns(0, row));
        scale(pass.device, Scalar{1}, ConstView(time.data + 1, sentences, 1, time.stride), query.columns(row, 1));
        Segments const queries{one_sentence(pass, sentences), 1, sentences, sentences};
        attention(pass.device, backend::AttentionShape{queries, source.segments}, query, source.lines, source.lines,
                  mean);
        scale(pass.device, Scalar{1}, mean.columns(0, row), View(z0_hat.data, sentences, row));
    }

    /// All targets are of one length, class 0.
    void predict_lengths(nn::Pass<B>& pass, Encoded const&, VectorView<Token> classes) const {
        clear(pass.device, classes.data, classes.size);
    }
    [[nodiscard]] Index length_of(Index, Token) const { return length_; }

private:
    /// The offsets of a packed batch with one sentence of `rows` rows.
    [[nodiscard]] static Index const* one_sentence(nn::Pass<B>& pass, Index rows) {
        std::array<Index, 2> const offsets{0, rows};
        Index* const memory = pass.workspace.template take<Index>(2);
        upload(pass.device, std::span<Index const>(offsets), memory);
        return memory;
    }

    Index count_;                // M
    Index width_;                // D
    Index length_ = 0;           // L
    std::vector<Token> tokens_;  // [M * L]
    std::function<void(nn::Pass<B>&, TokenView, View)> embed_;
};

}  // namespace inkling::denoiser
