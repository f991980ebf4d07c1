#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace inkling::nn {

/// Where one weight matrix [rows, cols] lies in the flat buffer of all weights; a vector has one row.
struct Parameter {
    Index offset = -1;
    Index rows = 0;
    Index cols = 0;

    [[nodiscard]] bool exists() const { return offset >= 0; }
    [[nodiscard]] Index size() const { return rows * cols; }
};

/// `first` and what lies directly behind it, read as one matrix of `rows` rows, or as one vector of `cols` elements:
/// query, key and value weights in one product. Nothing checks that as many lie there.
[[nodiscard]] inline Parameter joined(Parameter first, Index rows) { return {first.offset, rows, first.cols}; }
[[nodiscard]] inline Parameter joined_vector(Parameter first, Index cols) { return {first.offset, 1, cols}; }

/// How a weight starts.
struct Initializer {
    enum class Kind { constant, normal, uniform, sinusoidal, given };
    Kind kind = Kind::constant;
    double value = 0.0;  ///< the constant, the standard deviation, or the bound of the uniform interval
    std::shared_ptr<std::vector<float> const> values{};  ///< of Kind::given, row by row

    static Initializer zero() { return {Kind::constant, 0.0}; }
    static Initializer one() { return {Kind::constant, 1.0}; }
    static Initializer normal(double standard_deviation) { return {Kind::normal, standard_deviation}; }
    /// Uniform in +-1 / sqrt(in): what a linear map of `in` inputs starts as in PyTorch.
    static Initializer fan_in(Index in) { return {Kind::uniform, 1.0 / std::sqrt(static_cast<double>(in))}; }
    /// Row p, for p above `value`: [sin(p f_i) | cos(p f_i)], f_i = 10000^(-i / (D/2 - 1)); lower rows are 0. Not
    /// trained.
    static Initializer sinusoidal(Index padding_row) { return {Kind::sinusoidal, static_cast<double>(padding_row)}; }
    /// Values made elsewhere, shared with whoever made them. Null: there are none, and the weights can only be loaded.
    static Initializer given(std::shared_ptr<std::vector<float> const> values) {
        return {Kind::given, 0.0, std::move(values)};
    }
};

/// Names, shapes and places of all weights of a model in one flat buffer; gradients and optimiser state lie the same
/// way.
class ParameterLayout {
public:
    /// One weight, whatever its shape: its place, its names and what becomes of it.
    struct Entry {
        std::string name;
        std::vector<Index> shape;
        Parameter parameter;
        Initializer initializer;
        bool trained = true;                 ///< the optimiser moves it
        bool stored = true;                  ///< model files hold it
        bool multiplied = false;             ///< a linear map's matrix, which may be packed
        std::vector<std::string> aliases{};  ///< further names of the same weights
    };

    /// Adds a matrix [rows, cols] behind all that is there.
    /// @throws Error when the name is taken, a size is not positive, or the weights together are more than an Index
    ///         counts
    Parameter add_matrix(std::string name, Index rows, Index cols, Initializer initializer) {
        return add(std::move(name), {rows, cols}, {size_, rows, cols}, std::move(initializer));
    }
    /// Adds the matrix [out, in] of a linear map.  @throws Error as add_matrix
    Parameter add_map(std::string name, Index out, Index in) {
        Parameter const added = add_matrix(std::move(name), out, in, Initializer::fan_in(in));
        entries_.back().multiplied = true;
        return added;
    }
    /// Adds a vector [size] behind all that is there.  @throws Error as add_matrix
    Parameter add_vector(std::string name, Index size, Initializer initializer) {
        return add(std::move(name), {size}, {size_, 1, size}, std::move(initializer));
    }
    /// Gives weights that are there a further name.  @throws Error when the name is taken, or no weights begin there
    void add_alias(Parameter parameter, std::string name) {
        require_new(name);
        std::size_t const entry = first_from(parameter.offset);
        require(entry < entries_.size() && entries_[entry].parameter.offset == parameter.offset,
                "inkling::nn::ParameterLayout: alias '", name, "' is for weights that are not there");
        names_.emplace(name, entry);
        entries_[entry].aliases.push_back(std::move(name));
    }
    /// Takes a parameter out of training, or all those that it joins.
    /// @throws Error when none lies wholly in its place
    void freeze(Parameter parameter) {
        Index const end = parameter.offset + parameter.size();
        bool found = false;
        for (std::size_t i = first_from(parameter.offset); i < entries_.size(); ++i) {
            if (entries_[i].parameter.offset + entries_[i].parameter.size() > end) break;
            entries_[i].trained = false;
            found = true;
        }
        require(found, "inkling::nn::ParameterLayout: freeze of elements ", parameter.offset, " to ", end,
                ", expected the place of at least one weight");
    }

    /// Elements of the flat buffer.
    [[nodiscard]] Index size() const { return size_; }
    [[nodiscard]] std::span<Entry const> entries() const { return entries_; }
    /// The entry with that name or alias, or null.
    [[nodiscard]] Entry const* find(std::string_view name) const {
        auto const found = names_.find(std::string(name));
        return found == names_.end() ? nullptr : &entries_[found->second];
    }
    /// The entry that holds element `offset` of the flat buffer.  @throws Error when `offset` is outside [0, size())
    [[nodiscard]] Entry const& at(Index offset) const {
        require(offset >= 0 && offset < size_, "inkling::nn::ParameterLayout: element ", offset,
                " asked for, expected one below ", size_);
        return entries_[first_from(offset + 1) - 1];
    }

    /// The stretches [begin, end) of the flat buffer that training moves.
    [[nodiscard]] std::vector<std::pair<Index, Index>> trained_ranges() const {
        std::vector<std::pair<Index, Index>> ranges;
        for (Entry const& entry : entries_) {
            if (!entry.trained) continue;
            Index const begin = entry.parameter.offset;
            if (!ranges.empty() && ranges.back().second == begin)
                ranges.back().second = begin + entry.parameter.size();
            else
                ranges.emplace_back(begin, begin + entry.parameter.size());
        }
        return ranges;
    }

    /// Fills a host copy of the flat buffer with starting values: a pure function of the seed and of each entry's
    /// number.
    /// @throws Error when there is not room for exactly as many, or a weight's given values are missing
    template <class Real>
    void initialize(std::uint64_t seed, std::span<Real> weights) const {
        initialize_where(seed, weights, [](Entry const&) { return true; });
    }
    /// The same for what model files do not hold: fixed tables. Other elements are left as they are.
    template <class Real>
    void initialize_not_stored(std::span<Real> weights) const {
        initialize_where(0, weights, [](Entry const& entry) { return !entry.stored; });
    }

private:
    template <class Real, class Wanted>
    void initialize_where(std::uint64_t seed, std::span<Real> weights, Wanted const& wanted) const {
        require(static_cast<Index>(weights.size()) == size_, "inkling::nn::ParameterLayout: weights hold ",
                weights.size(), " elements, expected ", size_);
        for (std::size_t number = 0; number < entries_.size(); ++number) {
            Entry const& entry = entries_[number];
            if (!wanted(entry)) continue;
            auto const values = weights.subspan(static_cast<std::size_t>(entry.parameter.offset),
                                                static_cast<std::size_t>(entry.parameter.size()));
            RandomStream const stream{seed, Purpose::initial_weights, static_cast<std::uint32_t>(number), 0};
            fill(entry, stream, values);
        }
    }

    Parameter add(std::string name, std::vector<Index> shape, Parameter parameter, Initializer initializer) {
        require(parameter.rows > 0 && parameter.cols > 0, "inkling::nn::ParameterLayout: '", name, "' is ",
                parameter.rows, " x ", parameter.cols, ", expected at least 1 x 1");
        require(parameter.rows <= (std::numeric_limits<Index>::max() - size_) / parameter.cols,
                "inkling::nn::ParameterLayout: '", name, "' is ", parameter.rows, " x ", parameter.cols, " behind ",
                size_, " elements, more than can be counted");
        require(!initializer.values || static_cast<Index>(initializer.values->size()) == parameter.size(),
                "inkling::nn::ParameterLayout: '", name, "' is ", parameter.rows, " x ", parameter.cols, ", but ",
                initializer.values ? initializer.values->size() : 0, " values are given");
        require_new(name);
        bool const fixed = initializer.kind == Initializer::Kind::sinusoidal;
        names_.emplace(name, entries_.size());
        entries_.push_back({std::move(name), std::move(shape), parameter, std::move(initializer), !fixed, !fixed, {}});
        size_ += parameter.size();
        return parameter;
    }

    void require_new(std::string const& name) const {
        require(find(name) == nullptr, "inkling::nn::ParameterLayout: the name '", name, "' is given twice");
    }

    /// The number of the first entry that begins at element `offset` or behind it; entries lie in the order of their
    /// places.
    [[nodiscard]] std::size_t first_from(Index offset) const {
        return static_cast<std::size_t>(
            std::partition_point(entries_.begin(), entries_.end(),
                                 [=](Entry const& entry) { return entry.parameter.offset < offset; })
            - entries_.begin());
    }

    template <class Real>
    static void fill(Entry const& entry, RandomStream const& stream, std::span<Real> values) {
        Initializer const& how = entry.initializer;
        switch (how.kind) {
            case Initializer::Kind::constant:
                for (Real& value : values) value = static_cast<Real>(how.value);
                break;
            case Initializer::Kind::normal:
                for (std::size_t i = 0; i < values.size(); ++i)
                    values[i] = static_cast<Real>(
                        how.value * normals<double>(stream.bits(static_cast<std::uint32_t>(i / 4)))[i % 4]);
                break;
            case Initializer::Kind::uniform:
                for (std::size_t i = 0; i < values.size(); ++i)
                    values[i] =
                        static_cast<Real>(how.value * (2.0 * stream.uniform(static_cast<std::uint32_t>(i)) - 1.0));
                break;
            case Initializer::Kind::sinusoidal: {
                Index const half = std::max<Index>(1, entry.parameter.cols / 2);
                double const steps = static_cast<double>(std::max<Index>(1, half - 1));
                for (Index row = 0; row < entry.parameter.rows; ++row)
                    for (Index col = 0; col < entry.parameter.cols; ++col) {
                        double const rate = std::exp(-std::log(10000.0) * static_cast<double>(col % half) / steps);
                        double const angle = static_cast<double>(row) * rate;
                        bool const used = static_cast<double>(row) > how.value && col < 2 * half;
                        values[static_cast<std::size_t>(row * entry.parameter.cols + col)] =
                            static_cast<Real>(!used            ? 0.0
                                                  : col < half ? std::sin(angle)
                                                               : std::cos(angle));
                    }
                break;
            }
            case Initializer::Kind::given:
                require(how.values != nullptr, "inkling::nn::ParameterLayout: '", entry.name,
                        "' has no values to start with, expected a table in the options, or a model file");
                std::transform(how.values->begin(), how.values->end(), values.begin(),
                               [](float value) { return static_cast<Real>(value); });
                break;
        }
    }

    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::size_t> names_;  // of entries and aliases, and which entry they mean
    Index size_ = 0;
};

}  // namespace inkling::nn
