#pragma once

#include "golden.hpp"

#include <inkling/backend/concept.hpp>
#include <inkling/core/index.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/pass.hpp>
#include <inkling/pipeline/device_batch.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// What the cases of all official models share: packing of padded batches, and the comparison of every gradient.
namespace golden {

using inkling::Index, inkling::Token, inkling::MatrixView, inkling::VectorView;

constexpr double gradient_tolerance = 1e-4;  // of a parameter's largest entry
constexpr double smallest_gradient = 1e-3;   // of the model's largest entry: a parameter with less counts as this

/// Which places of a padded [sentences, length] rectangle are tokens, and where each of them goes in a packed batch.
struct Packing {
    std::vector<Index> offsets{0};    // [S + 1]
    std::vector<std::size_t> places;  // [N], of each packed row
    std::size_t area = 0;             // sentences * length

    Packing(std::vector<bool> const& valid, std::size_t length) : area(valid.size()) {
        for (std::size_t i = 0; i < area; ++i) {
            if (valid[i]) places.push_back(i);
            if ((i + 1) % length == 0) offsets.push_back(static_cast<Index>(places.size()));
        }
    }

    [[nodiscard]] Index sentences() const { return static_cast<Index>(offsets.size()) - 1; }
    [[nodiscard]] Index length(Index sentence) const {
        return offsets[static_cast<std::size_t>(sentence) + 1] - offsets[static_cast<std::size_t>(sentence)];
    }
    [[nodiscard]] std::vector<Index> lengths() const {
        std::vector<Index> all;
        for (Index s = 0; s < sentences(); ++s) all.push_back(length(s));
        return all;
    }

    /// The valid rows of `padded`, [area * width].
    template <class T>
    [[nodiscard]] std::vector<T> pack(std::span<T const> padded) const {
        inkling::require(area > 0 && padded.size() % area == 0, "golden: an array of ", padded.size(),
                         " elements does not fit a batch of ", area, " places");
        std::size_t const width = padded.size() / area;
        std::vector<T> packed;
        for (std::size_t const place : places)
            packed.insert(packed.end(), padded.begin() + static_cast<std::ptrdiff_t>(place * width),
                          padded.begin() + static_cast<std::ptrdiff_t>((place + 1) * width));
        return packed;
    }
    template <class T>
    [[nodiscard]] std::vector<T> pack(std::vector<T> const& padded) const {
        return pack(std::span<T const>(padded));
    }
};

/// The official model of one case of padded batches with its weights, on a backend.
/// @tparam Kind  which model: its Space, Model and Settings, how settings are read, and weights
template <inkling::Backend B, class Kind>
struct PaddedCase {
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    using Space = typename Kind::Space;
    using Model = typename Kind::Model;

    std::string name;  // of the case's file
    inkling::io::Safetensors file;
    typename Kind::Settings settings;
    inkling::nn::ParameterLayout layout{};
    Space space;
    Model model;
    B device{};
    inkling::nn::Workspace<B> workspace{};
    typename B::template Buffer<Scalar> weights;
    std::vector<Token> scratch{};

    explicit PaddedCase(nlohmann::json const& entry)
        : name(entry.at("file")),
          file(tensors(name)),
          settings(Kind::read(entry)),
          space(layout, settings.vocabulary, Kind::space_options(settings)),
          model(layout, settings.denoiser, space),
          weights(layout.size()) {
        auto const values = Kind::weights(tensors(entry.at("weights")), layout);
        upload(device, std::span<Scalar const>(values), weights.data());
    }

    [[nodiscard]] inkling::nn::Pass<B> pass(Scalar* gradients = nullptr) {
        workspace.reset();
        return {device, workspace, weights.data(), gradients};
    }

    /// Where the tokens of an array of tokens or of a mask are.
    [[nodiscard]] Packing places(std::string const& array) const {
        auto const& tensor = file.at(array);
        std::vector<bool> valid;
        if (tensor.type() == inkling::io::ElementType::BOOL)
            for (Index const marked : tensor.template to<Index>()) valid.push_back(marked != 0);
        else
            for (Index const token : tensor.template to<Index>()) valid.push_back(token != settings.specials.pad);
        return {valid, static_cast<std::size_t>(tensor.shape().back())};
    }
    [[nodiscard]] std::vector<Token> tokens(std::string const& array, Packing const& packing) const {
        return packing.pack(file.template get<Token>(array));
    }
    [[nodiscard]] std::vector<Scalar> numbers(std::string const& array, Packing const& packing) const {
        return packing.pack(file.template get<Scalar>(array));
    }

    [[nodiscard]] inkling::PackedSequences source(inkling::nn::Pass<B>& pass, Packing const& packing) {
        return inkling::pipeline::to_device(pass, packing.offsets, tokens("in/src_tokens", packing), scratch,
                                            model.longest_source(), "source");
    }
    [[nodiscard]] inkling::PackedSequences target(inkling::nn::Pass<B>& pass, Packing const& packing,
                                                  std::vector<Token> const& own = {}) {
        return inkling::pipeline::to_device(pass, packing.offsets, own, scratch, model.longest_target(), "target");
    }
    [[nodiscard]] View matrix(inkling::nn::Pass<B>& pass, std::vector<Scalar> const& values, Index rows) {
        auto const memory = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(values));
        return {memory.data, rows, memory.size / rows};
    }
    template <class T>
    [[nodiscard]] std::vector<T> host(T const* memory, Index count) {
        std::vector<T> values(static_cast<std::size_t>(count));
        download(device, memory, std::span<T>(values));
        return values;
    }
    [[nodiscard]] std::vector<Scalar> host(ConstView view) { return host(view.data, view.size()); }

    /// Logits [N, V] of z [N, D].
    [[nodiscard]] View logits(inkling::nn::Pass<B>& pass, ConstView z) {
        auto const matrix = inkling::embedding::readout_matrix(pass, space);
        View const result = pass.take(z.rows, matrix.rows);
        product(device, z, inkling::backend::Orientation::plain, matrix, inkling::backend::Orientation::transposed,
                result);
        return result;
    }

    /// What is read out of z [N, D]: the likeliest tokens and their log-probabilities.
    [[nodiscard]] std::pair<std::vector<Token>, std::vector<Scalar>> read_out(inkling::nn::Pass<B>& pass, ConstView z) {
        VectorView<Token> const best{workspace.template take<Token>(z.rows), z.rows};
        VectorView<Scalar> const scores{workspace.template take<Scalar>(z.rows), z.rows};
        inkling::embedding::read_out<Space, B>(pass, space, z, best, scores);
        return {host(static_cast<Token const*>(best.data), z.rows),
                host(static_cast<Scalar const*>(scores.data), z.rows)};
    }

    /// One row of the table of results; in double the case is said to be so.
    void compare(std::string const& what, auto const& got, auto const& want, double tolerance) const {
        check(name, said(what), worst_relative_error(got, want), tolerance);
    }
    void compare_exact(std::string const& what, auto const& got, auto const& want) const {
        check(name, said(what), worst_absolute_error(got, want), 0.0);
    }
    [[nodiscard]] std::string said(std::string const& what) const {
        return std::same_as<Scalar, double> ? what + ", in double" : what;
    }
};

/// log(softmax) of each row of [S, classes].
template <class Scalar>
[[nodiscard]] std::vector<double> log_softmax(std::vector<Scalar> const& logits, std::size_t classes) {
    std::vector<double> result;
    for (std::size_t row = 0; row < logits.size(); row += classes) {
        auto const begin = logits.begin() + static_cast<std::ptrdiff_t>(row);
        auto const end = begin + static_cast<std::ptrdiff_t>(classes);
        auto const top = static_cast<double>(*std::max_element(begin, end));
        double total = 0.0;
        for (auto at = begin; at != end; ++at) total += std::exp(static_cast<double>(*at) - top);
        for (auto at = begin; at != end; ++at) result.push_back(static_cast<double>(*at) - top - std::log(total));
    }
    return result;
}

/// Names in a list, or the keys of an object.
[[nodiscard]] inline std::set<std::string> names_in(nlohmann::json const& list) {
    std::set<std::string> names;
    for (auto const& [key, value] : list.items())
        names.insert(list.is_object() ? key : value.template get<std::string>());
    return names;
}

/// Compares every gradient that the case stores, and that there is none where it says so.
/// @param official  a case with `name`, `file`, `layout` and `said`
template <class Official, class Scalar>
void check_gradients(Official const& official, std::vector<Scalar> const& gradients) {
    auto const metadata = golden::metadata(official.file);
    auto const without = names_in(metadata.value("parameters_without_gradient", nlohmann::json::object()));
    auto const zero = names_in(metadata.value("gradient_zero_in_exact_arithmetic", nlohmann::json::array()));
    auto const own = [&](auto const& layout_entry) {
        return std::span(gradients).subspan(static_cast<std::size_t>(layout_entry.parameter.offset),
                                            static_cast<std::size_t>(layout_entry.parameter.size()));
    };
    auto const largest_of = [](auto const& values) {
        double largest = 0.0;
        for (auto const value : values) largest = std::max(largest, std::abs(static_cast<double>(value)));
        return largest;
    };

    std::string const prefix = "grad/";
    double largest = 0.0;
    for (auto const& tensor : official.file.tensors())
        if (tensor.name().starts_with(prefix)) largest = std::max(largest, largest_of(tensor.template to<Scalar>()));

    std::set<Index> seen;  // offsets of the weights compared
    Row row(official.name, official.said("gradients"), gradient_tolerance);
    std::optional<Row> nothing;
    if (!zero.empty())
        nothing.emplace(official.name, official.said("gradients that are rounding alone"),
                        gradient_tolerance * smallest_gradient * 10);
    for (auto const& tensor : official.file.tensors()) {
        if (!tensor.name().starts_with(prefix)) continue;
        std::string const parameter = tensor.name().substr(prefix.size());
        auto const* const found = official.layout.find(parameter);
        if (found == nullptr || tensor.shape() != found->shape || !seen.insert(found->parameter.offset).second) {
            row.add_exact(parameter + " is one parameter here", false);
            continue;
        }
        auto const got = own(*found);
        if (zero.contains(parameter)) {
            nothing->add(parameter, largest_of(got) / largest);
            continue;
        }
        auto const want = tensor.template to<Scalar>();
        row.add(parameter, worst_absolute_error(got, want) / (largest_of(want) + smallest_gradient * largest));
    }
    for (auto const& entry : official.layout.entries()) {
        if (!entry.trained || seen.contains(entry.parameter.offset)) continue;
        bool named = without.contains(entry.name);
        for (auto const& alias : entry.aliases) named = named || without.contains(alias);
        row.add_exact(entry.name + " has no gradient", named && largest_of(own(entry)) == 0.0);
    }
}

/// Text of the candidates as the case has it, where they are the same tokens; else something like nothing else.
[[nodiscard]] inline std::vector<std::string> texts_of(nlohmann::json const& strings, std::vector<bool> const& same) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < same.size(); ++i)
        texts.push_back(!strings.is_array() ? ""
                            : same[i]       ? strings.at(i).get<std::string>()
                                            : "candidate" + std::to_string(i));
    return texts;
}

}  // namespace golden
