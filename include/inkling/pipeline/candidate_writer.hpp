#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/decode/step_data.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/pass.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/pipeline/generate_options.hpp>
#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/workers.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/text/joining.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// What is cleaned at once: all candidates of a group of lines, those of a line one behind the other.
struct Candidates {
    std::vector<Index> group{};    ///< [S], numbers of the lines among all that are to be written
    decode::Beams beams{};         ///< how many candidates each has
    text::JoinedBatch rows{};      ///< of what each candidate's rows are
    std::vector<Index> numbers{};  ///< [C], by which random numbers are keyed
    std::vector<Index> sources{};  ///< [C], which source of the encoded ones each belongs to
    /// the sources' tokens of all lines, where what is written is the target alone; empty: it is all of a line's rows
    std::span<std::vector<Token> const> texts{};

    /// Numbers the next candidate, whose rows have been added: number `copy` of line s of the group.
    /// @param first_line  number of the first of all lines
    void add(Index first_line, std::size_t s, Index copy) {
        numbers.push_back((first_line + group[s]) * beams.candidates() + copy);
        sources.push_back(static_cast<Index>(s));
    }
};

/// What the last estimate of all candidates' rows reads as.
template <class Scalar>
struct ReadRows {
    std::vector<Token> tokens;   ///< [N]
    std::vector<Scalar> scores;  ///< [N], their log-probabilities
};

/// Cleans candidates by one plan, tells a listener of every step, and chooses among them.
template <class Space, class Model, class Choice, class ListenerType>
struct CandidateWriter {
    using Device = typename Model::Device;
    using Scalar = typename Device::Scalar;

    Space const& space;
    Model const& model;
    HeldTokenizer const& tokenizer;
    sampler::Plan const& plan;
    GenerateOptions const& options;
    Choice const& selection;
    ListenerType& listener;

    /// Without a listener, many threads may do it at once, each with a worker of its own.
    /// @param pass  in the worker's memory
    /// @return nothing where it was stopped
    [[nodiscard]] std::optional<ReadRows<Scalar>> clean(Worker<Device>& worker, nn::Pass<Device>& pass,
                                                        typename Model::Encoded& encoded,
                                                        Candidates const& candidates) const {
        text::JoinedBatch const& joined = candidates.rows;
        std::span<Token const> known;
        if constexpr (joins_source<Model>) known = joined.tokens;
        auto const target =
            to_device<Device>(pass, joined.offsets, known, worker.places, model.longest_target(), "target");
        encoded.source_of = to_device<Index>(pass, std::span<Index const>(candidates.sources)).data;
        VectorView<Index const> const keys = to_device<Index>(pass, std::span<Index const>(candidates.numbers));
        auto const z = pass.take(target.segments.rows, space.width());
        fill_normal(pass.device, RandomStream{options.seed, Purpose::initial_noise}, target.segments, keys, z);
        if (plan.initial_noise != 1.0) scale(pass.device, static_cast<Scalar>(plan.initial_noise), z, z);
        Parts parts;
        if constexpr (joins_source<Model>) {
            parts = {parts_to_device(pass, joined), joined.kept};
            start_clean(pass, parts, target, z);
            if constexpr (requires { model.keep(pass, encoded, joined, parts.segments); })
                model.keep(pass, encoded, joined, parts.segments);
        }
        std::vector<Index> lines;  // of each candidate, for who listens
        if constexpr (decode::listens<ListenerType>)
            for (Index const source : candidates.sources)
                lines.push_back(candidates.group[static_cast<std::size_t>(source)]);
        bool stopped = false;
        auto const z0_hat = denoise(
            pass, space, model, plan, target, encoded, z,
            [&](Index step, auto noise) {
                fill_normal(pass.device,
                            RandomStream{options.seed, Purpose::step_noise, 0, static_cast<std::uint32_t>(step)},
                            target.segments, keys, noise);
            },
            [&](StepState<Device> const& state) {
                if constexpr (decode::listens<ListenerType>)
                    if (!tell(worker, pass, state, joined.offsets, lines)) return false;
                stopped = state.step + 1 < state.steps && options.stop.stop_requested();
                return !stopped;
            },
            parts);
        if (stopped) return std::nullopt;
        return read_out(pass, z0_hat);
    }

    /// @param result  of all lines; those of the group are filled
    void choose(Candidates const& candidates, ReadRows<Scalar> const& read, std::vector<Generated>& result) const {
        auto const each = static_cast<std::size_t>(candidates.beams.candidates());
        std::vector<Generated> all;
        for (std::size_t s = 0; s < candidates.group.size(); ++s) {
            all.clear();
            for (std::size_t c = 0; c < each; ++c) all.push_back(line_of(read, candidates, s * each + c));
            auto const line = static_cast<std::size_t>(candidates.group[s]);
            result[line] = std::move(all[chosen(all, candidates, line)]);
        }
    }

private:
    /// Puts the embeddings of what is kept in the place of its noise.
    void start_clean(nn::Pass<Device>& pass, Parts const& parts, PackedSequences const& target,
                     MatrixView<Scalar> z) const {
        auto const clean = pass.take(z.rows, z.cols);
        space.embed(pass, target.tokens, clean);
        std::vector<Scalar> shares;
        for (std::uint8_t const kept : parts.kept)
            for (double const share : {kept != 0 ? 1.0 : 0.0, kept != 0 ? 0.0 : 1.0, 0.0})
                shares.push_back(static_cast<Scalar>(share));
        auto const factors = to_device<Scalar>(pass, std::span<Scalar const>(shares));
        combine(pass.device, parts.segments, MatrixView<Scalar const>(factors.data, parts.segments.count, 3), clean, z,
                {}, z);
    }

    /// Copies what a step has come to for the listener. @return whether to go on
    [[nodiscard]] bool tell(Worker<Device>& worker, nn::Pass<Device>& pass, StepState<Device> const& state,
                            std::vector<Index> const& offsets, std::vector<Index> const& lines) const {
        nn::Scope<Device> const scope(pass.workspace);
        Index const rows = state.z.rows;
        worker.tokens.resize(static_cast<std::size_t>(rows));
        worker.z.resize(static_cast<std::size_t>(state.z.size()));
        worker.z0_hat.resize(worker.z.size());
        VectorView<Token> const nearest{pass.workspace.template take<Token>(rows), rows};
        embedding::read_out<Space, Device>(pass, space, state.z0_hat, nearest);
        download(pass.device, static_cast<Token const*>(nearest.data), std::span<Token>(worker.tokens));
        download(pass.device, state.z.data, std::span<Scalar>(worker.z));
        download(pass.device, state.z0_hat.data, std::span<Scalar>(worker.z0_hat));
        return decode::notify(listener,
                              decode::StepData<Scalar>{state.step, state.steps, state.time, space.width(), worker.z,
                                                       worker.z0_hat, worker.tokens, offsets, lines});
    }

    [[nodiscard]] ReadRows<Scalar> read_out(nn::Pass<Device>& pass, MatrixView<Scalar> z0_hat) const {
        Index const rows = z0_hat.rows;
        auto const size = static_cast<std::size_t>(rows);
        VectorView<Token> const tokens{pass.workspace.template take<Token>(rows), rows};
        VectorView<Scalar> const scores{pass.workspace.template take<Scalar>(rows), rows};
        embedding::read_out<Space, Device>(pass, space, z0_hat, tokens, scores);
        ReadRows<Scalar> read{std::vector<Token>(size), std::vector<Scalar>(size)};
        download(pass.device, static_cast<Token const*>(tokens.data), std::span<Token>(read.tokens));
        download(pass.device, static_cast<Scalar const*>(scores.data), std::span<Scalar>(read.scores));
        return read;
    }

    /// A candidate's line: what is kept of it as it was, what is written as it reads.
    [[nodiscard]] Generated line_of(ReadRows<Scalar> const& read, Candidates const& candidates,
                                    std::size_t candidate) const {
        text::JoinedBatch const& joined = candidates.rows;
        std::vector<Token> tokens;
        double score = 0.0;
        Index written = 0;
        for (Index p = joined.first_parts[candidate] + (candidates.texts.empty() ? 0 : 1);
             p < joined.first_parts[candidate + 1]; ++p) {
            auto const part = static_cast<std::size_t>(p);
            bool const kept = joined.kept[part] != text::part::written;
            for (Index row = joined.parts[part]; row < joined.parts[part + 1]; ++row) {
                auto const i = static_cast<std::size_t>(row);
                tokens.push_back(kept ? joined.tokens[i] : read.tokens[i]);
                if (kept) continue;
                score += static_cast<double>(read.scores[i]);
                ++written;
            }
        }
        std::string text = tokenizer.decode(tokens);
        return {std::move(text), std::move(tokens), score / static_cast<double>(std::max<Index>(1, written)), true};
    }

    /// Which of a line's candidates the selection takes.
    [[nodiscard]] std::size_t chosen(std::vector<Generated> const& all, Candidates const& candidates,
                                     std::size_t line) const {
        if (all.size() == 1) return 0;
        std::string const source = candidates.texts.empty() ? "" : tokenizer.decode_source(candidates.texts[line]);
        std::vector<decode::Candidate> choice;
        for (Generated const& one : all)
            choice.push_back({one.text, one.mean_log_probability,
                              candidates.beams.group(static_cast<Index>(choice.size())), source});
        Index const best = selection.select(choice);
        require(best >= 0 && best < static_cast<Index>(all.size()),
                "inkling::TextDiffusion::generate: the Selection chose candidate ", best, ", expected 0 to ",
                all.size() - 1);
        return static_cast<std::size_t>(best);
    }
};

}  // namespace inkling::pipeline
