#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/io/sealed_file.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/train/detail/weights.hpp>
#include <inkling/train/snapshot.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace inkling::train {

/// Settings of BestCheckpoints.
struct BestCheckpointsOptions {
    Index keep = 5;                ///< snapshots, 1 or more
    bool higher_is_better = true;  ///< BLEU: true; a loss: false
};

/// Keeps the weights that scored best, each as a file beside the checkpoint, and gives their mean.
///
/// The mean of the best few is what the published systems are scored with. The list of snapshots is part of the
/// checkpoint: hand `snapshots()` to it, and call `remove_dropped()` once the new checkpoint is written. Until then
/// every file that the old checkpoint knows is left alone, so a run can be killed at any moment and resumed.
///
///     best.offer(device, layout, weights, step, bleu);      // run.inkling.best-1200.safetensors
///     save_checkpoint(…, {.best = best.snapshots()});
///     best.remove_dropped();
class BestCheckpoints {
public:
    using Options = BestCheckpointsOptions;

    /// @param checkpoint  path of the run's checkpoint; the snapshots' names begin with its name
    /// @throws Error when there is nothing to keep
    explicit BestCheckpoints(std::filesystem::path const& checkpoint, Options options = {})
        : folder_(checkpoint.parent_path()), stem_(checkpoint.filename().string() + ".best-"), options_(options) {
        require(options.keep >= 1, "inkling::train::BestCheckpoints: keep is ", options.keep, ", expected 1 or more");
    }

    [[nodiscard]] Options const& options() const { return options_; }
    /// What is kept, the best first; of equal scores the later step first.
    [[nodiscard]] std::vector<Snapshot> const& snapshots() const { return snapshots_; }

    /// Writes the weights, [P] in the backend's memory, if they are among the best; the worst leaves the list then. Of
    /// two steps that score the same the later is the better: early on a score on few sentences is often 0. Of a step
    /// that is in the list already the new score counts.
    /// @return whether they are kept
    /// @throws Error when the score is not finite, or the file cannot be written; the list is then as before
    template <Backend B>
    bool offer(B& device, nn::ParameterLayout const& layout, VectorView<typename B::Scalar const> weights, Index step,
               double score) {
        using Real = typename B::Scalar;
        require(std::isfinite(score), "inkling::train::BestCheckpoints: the score of step ", step, " is ", score,
                ", expected a finite number");
        std::vector<Snapshot> list = snapshots_;
        std::erase_if(list, [&](Snapshot const& kept) { return kept.step == step; });
        std::string const file = name_(step);
        insert_(list, {step, score, file});
        if (static_cast<Index>(list.size()) > options_.keep) list.pop_back();
        bool const kept = std::any_of(list.begin(), list.end(), [&](Snapshot const& one) { return one.step == step; });
        if (kept) {
            std::vector<Real> const host = detail::to_host(device, weights);
            auto const tensors = detail::named_weights(layout, std::span<Real const>(host));
            io::write_sealed(folder_ / file, tensors, {{"inkling_step", std::to_string(step)}}, format_key, format);
        }
        snapshots_ = std::move(list);
        return kept;
    }

    /// Takes up the list of a checkpoint.
    /// @throws Error when a snapshot is not this run's, its file is missing or damaged, or its score is not a
    ///         number; the list is then as before
    void restore(std::span<Snapshot const> snapshots) {
        std::vector<Snapshot> list;
        for (Snapshot const& snapshot : snapshots) {
            require(snapshot.file == name_(snapshot.step), "inkling::train::BestCheckpoints: the snapshot of step ",
                    snapshot.step, " is in file '", snapshot.file, "', expected '", name_(snapshot.step), "'");
            require(std::isfinite(snapshot.score), "inkling::train::BestCheckpoints: the score of step ", snapshot.step,
                    " is ", snapshot.score, ", expected a finite number");
            (void)open_(snapshot);
            insert_(list, snapshot);
        }
        if (static_cast<Index>(list.size()) > options_.keep) list.resize(static_cast<std::size_t>(options_.keep));
        snapshots_ = std::move(list);
    }

    /// Removes the snapshot files beside the checkpoint that are no longer in the list. Call it when a checkpoint with
    /// the list is written. A file that cannot be removed is left.
    void remove_dropped() const {
        std::error_code problem;
        auto const folder = folder_.empty() ? std::filesystem::path(".") : folder_;
        std::vector<std::filesystem::path> dropped;
        for (auto entry = std::filesystem::directory_iterator(folder, problem);
             !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
            std::string const name = entry->path().filename().string();
            bool const listed = std::any_of(snapshots_.begin(), snapshots_.end(),
                                            [&](Snapshot const& kept) { return kept.file == name; });
            if (!listed && is_snapshot_(name)) dropped.push_back(entry->path());
        }
        for (auto const& path : dropped) std::filesystem::remove(path, problem);
    }

    /// Reads the best weights into `weights`, [P] in the backend's memory; those that files do not hold stay as they
    /// are.
    /// @throws Error when nothing is kept yet, or a file is missing, damaged or of another model; nothing is changed
    ///         then
    template <Backend B>
    void load_best(B& device, nn::ParameterLayout const& layout, VectorView<typename B::Scalar> weights) const {
        load_mean_(device, layout, weights, 1);
    }

    /// Reads the mean of all that is kept, summed in double.
    /// @throws Error as load_best does
    template <Backend B>
    void load_mean(B& device, nn::ParameterLayout const& layout, VectorView<typename B::Scalar> weights) const {
        load_mean_(device, layout, weights, snapshots_.size());
    }

private:
    static constexpr char const* format_key = "inkling_snapshot";
    static constexpr int format = 1;
    static constexpr std::string_view ending = ".safetensors";

    [[nodiscard]] bool better_(Snapshot const& a, Snapshot const& b) const {
        if (a.score == b.score) return a.step > b.step;
        return options_.higher_is_better ? a.score > b.score : a.score < b.score;
    }
    /// Puts a snapshot in its place in a list that is sorted.
    void insert_(std::vector<Snapshot>& list, Snapshot snapshot) const {
        auto const place =
            std::find_if(list.begin(), list.end(), [&](Snapshot const& kept) { return better_(snapshot, kept); });
        list.insert(place, std::move(snapshot));
    }
    [[nodiscard]] std::string name_(Index step) const { return stem_ + std::to_string(step) + std::string(ending); }
    [[nodiscard]] bool is_snapshot_(std::string_view name) const {
        if (!name.starts_with(stem_) || !name.ends_with(ending) || name.size() <= stem_.size() + ending.size())
            return false;
        auto const digits = name.substr(stem_.size(), name.size() - stem_.size() - ending.size());
        return digits.find_first_not_of("0123456789") == std::string_view::npos;
    }
    [[nodiscard]] io::Safetensors open_(Snapshot const& snapshot) const {
        return io::open_sealed(folder_ / snapshot.file, "inkling::train::BestCheckpoints", "snapshot", format_key,
                               format);
    }

    template <Backend B>
    void load_mean_(B& device, nn::ParameterLayout const& layout, VectorView<typename B::Scalar> weights,
                    std::size_t count) const {
        using Real = typename B::Scalar;
        require(!snapshots_.empty(), "inkling::train::BestCheckpoints: no snapshot is kept yet");
        std::vector<Real> host = detail::to_host(device, VectorView<Real const>(weights));
        std::vector<double> sums(count > 1 ? host.size() : 0);
        for (std::size_t i = 0; i < count; ++i) {
            detail::read_weights(open_(snapshots_[i]),
                                 "inkling::train::BestCheckpoints: file '" + snapshots_[i].file + "': ", layout,
                                 std::span<Real>(host));
            for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<double>(host[j]);
        }
        for (nn::ParameterLayout::Entry const& entry : layout.entries()) {
            if (!entry.stored || count == 1) continue;
            auto const begin = static_cast<std::size_t>(entry.parameter.offset);
            for (std::size_t j = begin; j < begin + static_cast<std::size_t>(entry.parameter.size()); ++j)
                host[j] = static_cast<Real>(sums[j] / static_cast<double>(count));
        }
        upload(device, std::span<Real const>(host), weights.data);
    }

    std::filesystem::path folder_;
    std::string stem_;
    Options options_;
    std::vector<Snapshot> snapshots_;
};

}  // namespace inkling::train
