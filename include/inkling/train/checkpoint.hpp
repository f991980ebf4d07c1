#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/sealed_file.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/train/adamw.hpp>
#include <inkling/train/detail/weights.hpp>
#include <inkling/train/moving_average.hpp>
#include <inkling/train/snapshot.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace inkling::train {

/// Where a run stands, beside the arrays: what a trainer must know to go on as if it had never stopped.
struct RunState {
    Index step = 0;                                       ///< updates done
    std::map<std::string, std::int64_t> counters{};       ///< whole numbers: place in the data, ...
    std::map<std::string, double> numbers{};              ///< finite ones: seconds used, ...; kept exactly
    std::map<std::string, std::vector<double>> arrays{};  ///< more of them, each under one name; kept exactly
    std::vector<Snapshot> best{};                         ///< BestCheckpoints::snapshots()
    std::string options = "{}";                           ///< JSON object: all that must not change within a run
};

namespace detail {

inline constexpr char const* checkpoint_key = "inkling_checkpoint";
inline constexpr int checkpoint_format = 1;

inline constexpr char const* first_moment_name = "inkling.first_moment";
inline constexpr char const* second_moment_name = "inkling.second_moment";
inline constexpr char const* average_name = "inkling.moving_average";
inline constexpr char const* array_prefix = "inkling.run.";  ///< in front of the names of RunState::arrays

/// @throws Error, beginning with `where`, unless the text is a JSON object
[[nodiscard]] inline nlohmann::json parse_object(std::string_view text, std::string const& where, char const* what) {
    auto parsed = io::parse_json(text);
    require(parsed.is_object(), where, what, " is no JSON object");
    return parsed;
}

/// "'/denoiser/width' is 256 in the one and 128 in the other", for each setting that differs, at most five of them.
[[nodiscard]] inline std::string differences(nlohmann::json const& stored, nlohmann::json const& current) {
    auto const flat = [](nlohmann::json const& object) {
        return object.empty() ? nlohmann::json::object() : object.flatten();
    };
    nlohmann::json const before = flat(stored);
    nlohmann::json const now = flat(current);
    std::set<std::string> names;
    for (auto const& item : before.items()) names.insert(item.key());
    for (auto const& item : now.items()) names.insert(item.key());
    auto const shown = [](nlohmann::json const& object, std::string const& name) {
        auto const found = object.find(name);
        return found == object.end() ? std::string("not set") : found->dump();
    };
    std::string text;
    std::size_t count = 0;
    for (std::string const& name : names) {
        std::string const old_value = shown(before, name);
        std::string const new_value = shown(now, name);
        if (old_value == new_value) continue;
        if (++count <= 5)
            text += (count == 1 ? "'" : ", '") + name + "' is " + old_value + " in the checkpoint and " + new_value
                + " now";
    }
    if (count > 5) text += ", and " + std::to_string(count - 5) + " more";
    return text;
}

}  // namespace detail

/// Writes all of a run into one file, wholly or not at all: until the new file is durable the old one stays.
///
/// The form: a safetensors file with the weights under their names, the optimiser's two means and the moving average as
/// flat arrays in the type they are computed in (so a resumed run has the same bits), the arrays of the state, and the
/// rest as JSON in the metadata, with a format version and a checksum over everything. Waits for the device.
/// @param weights  [P], in the backend's memory
/// @param average  null when the run keeps none
/// @throws Error when the options are no JSON object, a number is not finite, a size is not the layout's, or the file
///         cannot be written
template <Backend B>
void save_checkpoint(std::filesystem::path const& path, B& device, nn::ParameterLayout const& layout,
                     VectorView<typename B::Scalar const> weights, AdamW<B> const& optimizer,
                     std::type_identity_t<MovingAverage<B>> const* average, RunState const& state) {
    using Real = typename B::Scalar;
    std::string const where = "inkling::train::save_checkpoint: file '" + path.string() + "': ";
    auto const check_size = [&](char const* what, Index size) {
        require(size == layout.size(), where, what, " hold ", size, " elements, expected ", layout.size());
    };
    check_size("the weights", weights.size);
    check_size("the optimiser's means", optimizer.size());
    if (average != nullptr) check_size("the averaged weights", average->values().size);
    (void)detail::parse_object(state.options, where, "RunState::options");
    nlohmann::json run{{"step", state.step},
                       {"optimizer_steps", optimizer.steps()},
                       {"average_updates", average == nullptr ? 0 : average->updates()},
                       {"counters", state.counters},
                       {"numbers", nlohmann::json::object()},
                       {"arrays", nlohmann::json::array()},
                       {"best", nlohmann::json::array()}};
    for (auto const& [name, value] : state.numbers) {
        require(std::isfinite(value), where, "RunState::numbers has '", name, "' = ", value,
                ", expected a finite number");
        run["numbers"][name] = value;
    }
    for (Snapshot const& snapshot : state.best) {
        require(std::isfinite(snapshot.score), where, "the score of step ", snapshot.step, " is ", snapshot.score,
                ", expected a finite number");
        run["best"].push_back({{"step", snapshot.step}, {"score", snapshot.score}, {"file", snapshot.file}});
    }

    std::vector<Real> const host_weights = detail::to_host(device, weights);
    std::vector<Real> const first = detail::to_host(device, optimizer.first_moment());
    std::vector<Real> const second = detail::to_host(device, optimizer.second_moment());
    std::vector<Real> averaged;
    auto tensors = detail::named_weights(layout, std::span<Real const>(host_weights));
    auto const add_flat = [&](char const* name, std::vector<Real> const& values) {
        tensors.push_back(io::tensor_to_write(name, {layout.size()}, std::span<Real const>(values)));
    };
    add_flat(detail::first_moment_name, first);
    add_flat(detail::second_moment_name, second);
    if (average != nullptr) {
        averaged = detail::to_host(device, average->values());
        add_flat(detail::average_name, averaged);
    }
    for (auto const& [name, values] : state.arrays) {
        run["arrays"].push_back(name);
        tensors.push_back(io::tensor_to_write(detail::array_prefix + name, {static_cast<Index>(values.size())},
                                              std::span<double const>(values)));
    }
    std::string text;
    try {
        text = run.dump();
    } catch (nlohmann::json::exception const&) { fail(where, "a name in RunState is no valid UTF-8"); }
    io::write_sealed(path, tensors, {{"inkling_run", text}, {"inkling_options", state.options}}, detail::checkpoint_key,
                     detail::checkpoint_format);
}

/// A checkpoint opened for reading: checked whole, and put to use in two steps, so that a failure changes nothing.
///
///     auto const checkpoint = train::Checkpoint::open("run.checkpoint");
///     checkpoint.require_options(options.dump());
///     checkpoint.restore(device, layout, weights, optimizer, &average);
///     RunState const state = checkpoint.state();
class Checkpoint {
public:
    /// Reads the file once and compares its checksum; the arrays stay in the file until restore.
    /// @throws Error when it cannot be opened, is no checkpoint, is of a newer format, or is damaged or cut short
    [[nodiscard]] static Checkpoint open(std::filesystem::path const& path) { return Checkpoint(path); }

    [[nodiscard]] RunState const& state() const { return state_; }
    /// @return what the state has under the name
    /// @throws Error when it has nothing there; so for number and array
    [[nodiscard]] std::int64_t counter(std::string const& name) const { return at_(state_.counters, name); }
    [[nodiscard]] double number(std::string const& name) const { return at_(state_.numbers, name); }
    [[nodiscard]] std::vector<double> const& array(std::string const& name) const { return at_(state_.arrays, name); }
    /// @return whether the run keeps a moving average
    [[nodiscard]] bool has_average() const { return file_.contains(detail::average_name); }
    /// @return the arrays, the weights under their own names
    [[nodiscard]] io::Safetensors const& contents() const { return file_; }

    /// @param options  the JSON object that this run would store
    /// @throws Error that names each setting that differs, with both values
    void require_options(std::string_view options) const {
        std::string const text = detail::differences(io::parse_json(state_.options),
                                                     detail::parse_object(options, where_, "the run's options"));
        require(text.empty(), where_,
                "was written by a run with other options or text (remove it to start anew): ", text);
    }

    /// Fills the weights, [P] in the backend's memory, the optimiser and the moving average. All is checked before the
    /// first of them is changed. Weights that files do not hold (computed tables) stay as they are. Waits for the
    /// device.
    /// @param average  null when the run keeps none
    /// @throws Error naming the array that is missing, left over, or of another shape (with both shapes) or type
    template <Backend B>
    void restore(B& device, nn::ParameterLayout const& layout, VectorView<typename B::Scalar> weights,
                 AdamW<B>& optimizer, std::type_identity_t<MovingAverage<B>>* average) const {
        using Real = typename B::Scalar;
        require(weights.size == layout.size() && optimizer.size() == layout.size()
                    && (average == nullptr || average->values().size == layout.size()),
                where_, "is to fill ", weights.size, " weights, ", optimizer.size(), " means",
                average == nullptr ? "" : " and a moving average", ", expected ", layout.size(), " of each");
        require(has_average() == (average != nullptr), where_, has_average() ? "has a" : "has no",
                " moving average of the weights, and this run keeps ", average == nullptr ? "none" : "one");
        std::vector<std::string> flat_names{detail::first_moment_name, detail::second_moment_name,
                                            detail::average_name};
        for (auto const& [name, values] : state_.arrays) flat_names.push_back(detail::array_prefix + name);
        std::vector<Real> host = detail::to_host(device, VectorView<Real const>(weights));
        detail::read_weights(file_, where_, layout, std::span<Real>(host), flat_names);
        std::array<Index, 1> const shape{layout.size()};
        auto const flat = [&](std::string const& name) {
            return detail::expect_tensor<Real>(file_, where_, name, shape).template to<Real>();
        };
        std::vector<Real> const first = flat(flat_names[0]);
        std::vector<Real> const second = flat(flat_names[1]);
        std::vector<Real> const averaged = average == nullptr ? std::vector<Real>{} : flat(flat_names[2]);

        upload(device, std::span<Real const>(host), weights.data);
        upload(device, std::span<Real const>(first), optimizer.first_moment().data);
        upload(device, std::span<Real const>(second), optimizer.second_moment().data);
        optimizer.set_steps(optimizer_steps_);
        if (average != nullptr) {
            upload(device, std::span<Real const>(averaged), average->values().data);
            average->set_updates(average_updates_);
        }
    }

private:
    explicit Checkpoint(std::filesystem::path const& path)
        : where_("inkling::train::Checkpoint: file '" + path.string() + "': "),
          file_(io::open_sealed(path, "inkling::train::Checkpoint", "checkpoint", detail::checkpoint_key,
                                detail::checkpoint_format)) {
        auto const& metadata = file_.metadata();
        auto const options = metadata.find("inkling_options");
        auto const run = metadata.find("inkling_run");
        require(options != metadata.end() && run != metadata.end(), where_,
                "its metadata lack 'inkling_options' or 'inkling_run'");
        (void)detail::parse_object(options->second, where_, "'inkling_options'");
        state_.options = options->second;
        auto const stored = detail::parse_object(run->second, where_, "'inkling_run'");
        try {
            state_.step = stored.at("step").get<Index>();
            optimizer_steps_ = stored.at("optimizer_steps").get<Index>();
            average_updates_ = stored.at("average_updates").get<Index>();
            state_.counters = stored.at("counters").get<std::map<std::string, std::int64_t>>();
            state_.numbers = stored.at("numbers").get<std::map<std::string, double>>();
            if (stored.contains("arrays"))
                for (auto const& name : stored["arrays"].get<std::vector<std::string>>())
                    state_.arrays[name] = file_.at(detail::array_prefix + name).to<double>();
            for (auto const& snapshot : stored.at("best"))
                state_.best.push_back({snapshot.at("step").get<Index>(), snapshot.at("score").get<double>(),
                                       snapshot.at("file").get<std::string>()});
        } catch (nlohmann::json::exception const& problem) {
            fail(where_, "'inkling_run' is not what was expected: ", problem.what());
        }
        require(state_.step >= 0 && optimizer_steps_ >= 0 && average_updates_ >= 0, where_,
                "'inkling_run' has a negative count");
    }

    template <class Value>
    [[nodiscard]] Value const& at_(std::map<std::string, Value> const& values, std::string const& name) const {
        auto const found = values.find(name);
        require(found != values.end(), where_, "lacks '", name, "'");
        return found->second;
    }

    std::string where_;
    io::Safetensors file_;
    RunState state_;
    Index optimizer_steps_ = 0;
    Index average_updates_ = 0;
};

}  // namespace inkling::train
