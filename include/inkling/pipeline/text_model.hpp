#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/nn/pass.hpp>
#include <inkling/pipeline/embeddings.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/weights_file.hpp>
#include <inkling/pipeline/workers.hpp>

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// What every pipeline is made of, whatever writes its text: tokenizer, space, model, and their weights.
///
/// @tparam PipelineOptions  settings of the pipeline, of which `embedding`, `device` and `seed` are read here
template <class PipelineOptions, class Space, class Model>
class TextModel {
public:
    using Device = typename Model::Device;
    using Scalar = typename Device::Scalar;
    using SpaceType = Space;
    using ModelType = Model;
    using Options = PipelineOptions;

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] HeldTokenizer const& tokenizer() const { return tokenizer_; }
    /// Tokens that a source may have: the space's vocabulary, where the tokenizer does not give sources one.
    [[nodiscard]] Index source_vocabulary() const {
        return tokenizer_.source_vocabulary_size().value_or(space_.vocabulary());
    }
    [[nodiscard]] nn::ParameterLayout const& layout() const { return layout_; }
    [[nodiscard]] Space const& space() const { return space_; }
    [[nodiscard]] Model const& model() const { return model_; }
    /// All weights, in the backend's memory. Whoever may write them may do so at any time: from now on every generation
    /// lays them out anew, where it does. Ask a const pipeline in order to read.
    [[nodiscard]] VectorView<Scalar> weights() {
        weights_may_change_ = true;
        return {weights_.data(), layout_.size()};
    }
    [[nodiscard]] VectorView<Scalar const> weights() const { return {weights_.data(), layout_.size()}; }
    /// Takes other weights, while nothing generates; the next generation lays them out, once for all calls as long as
    /// no view to write through was asked for. Waits for the device.
    /// @param values  [layout().size()], on the host, in the layout's order
    /// @throws Error when there are more or fewer, or naming one that is not finite; nothing is changed then
    void set_weights(std::span<Scalar const> values) {
        require(static_cast<Index>(values.size()) == layout_.size(),
                "inkling::pipeline::TextModel::set_weights: ", values.size(), " weights, expected ", layout_.size());
        require_finite(layout_, values, "inkling::pipeline::TextModel::set_weights: ");
        Device device(options_.device);
        store(device, values, weights_.data());
        forget_workers();  // which may have others laid out
    }
    /// Where every token lives now, z0 [V, D] row-major, without a space's own noise: for train::embedding_health and
    /// train::Recoverability. Waits for the device.
    [[nodiscard]] std::vector<float> embeddings() const {
        auto worker = workers_.borrow(options_.device);
        return pipeline::embeddings(*worker, space_, weights_.data());
    }

    /// Sets what it runs on from now on, while nothing generates: threads, on which the text does not depend, or a
    /// precision of products, on which it does. Trainers and classifiers of the pipeline are to be made anew. Where a
    /// backend has several devices, the weights move: views of them are void then.
    /// @throws Error when an option is out of range, or there is no memory for the weights; nothing is changed then
    void set_device(typename Device::Options device) {
        if constexpr (backend::HasCurrentDevice<Device>) {
            weights_ = stored<Device>(device, downloaded());
        } else {
            (void)Device(device);
        }
        options_.device = std::move(device);
        forget_workers();
    }

protected:
    /// All but the weights.
    /// @param model  those of `options` that are the model's
    /// @throws Error as model_over and the parts do
    TextModel(HeldTokenizer tokenizer, Options options, typename Model::Options const& model)
        : options_(std::move(options)),
          tokenizer_(std::move(tokenizer)),
          space_(layout_, tokenizer_.vocabulary_size(), options_.embedding),
          model_(model_over(layout_, model, space_, tokenizer_)) {}
    ~TextModel() = default;
    TextModel(TextModel&&) = default;
    TextModel& operator=(TextModel&&) = default;

    /// @throws Error naming the size where there is no memory for the weights
    void make_fresh_weights() { weights_ = fresh_weights<Device>(options_.device, layout_, options_.seed); }
    /// @throws Error when a tensor misses or has another shape, or there is no memory for them
    void read_weights(io::ModelFile const& file) {
        require_weights(file, layout_);
        auto const values = load_weights(file, layout_);
        weights_ = stored<Device>(options_.device, std::vector<Scalar>(values.begin(), values.end()));
    }
    /// Writes a model file. @throws Error when it cannot be written
    void write(std::filesystem::path const& path, nlohmann::json const& configuration) const {
        auto const host = downloaded();
        save_weights(path, configuration, tokenizer_, layout_, std::vector<float>(host.begin(), host.end()));
    }

    /// A worker whose packed weights are those of now.
    [[nodiscard]] typename Workers<Device>::Loan borrow_worker() const {
        auto worker = workers_.borrow(options_.device);
        if (weights_may_change_ || worker->packed.empty())
            worker->packed.update(worker->device, layout_, weights_.data());
        return worker;
    }
    /// A pass over the model, in the worker's memory from its beginning on.
    [[nodiscard]] nn::Pass<Device> fresh_pass(Worker<Device>& worker) const {
        return fresh_pass(worker, worker.packed);
    }
    /// The same with weights that another worker has packed.
    [[nodiscard]] nn::Pass<Device> fresh_pass(Worker<Device>& worker, nn::PackedWeights<Device> const& packed) const {
        worker.workspace.reset();
        return {.device = worker.device, .workspace = worker.workspace, .weights = weights_.data(), .packed = &packed};
    }

    /// The tokens of sources. @throws Error when one has none, naming its number
    [[nodiscard]] std::vector<std::vector<Token>> encode(std::span<std::string const> sources,
                                                         char const* where) const {
        std::vector<std::vector<Token>> tokens(sources.size());
        for (std::size_t i = 0; i < sources.size(); ++i) {
            tokens[i] = tokenizer_.encode_source(sources[i]);
            require(!tokens[i].empty(), where, ": source ", i, " is empty, expected text");
        }
        return tokens;
    }

    Options options_;
    HeldTokenizer tokenizer_;
    nn::ParameterLayout layout_{};
    Space space_;
    Model model_;
    typename Device::template Buffer<Scalar> weights_{};
    mutable Workers<Device> workers_{};
    mutable Workers<Device> one_thread_workers_{};  ///< where threads take rows of their own; without packed weights

private:
    void forget_workers() {
        workers_ = {};
        one_thread_workers_ = {};
    }

    /// @throws Error when sources have a vocabulary of their own, and the model none for them
    [[nodiscard]] static Model model_over(nn::ParameterLayout& layout, typename Model::Options const& options,
                                          Space const& space, HeldTokenizer const& tokenizer) {
        auto const own = tokenizer.source_vocabulary_size();
        if constexpr (std::constructible_from<Model, nn::ParameterLayout&, typename Model::Options const&, Space const&,
                                              std::optional<Index>>) {
            return Model(layout, options, space, own);
        } else {
            require(!own, "inkling::pipeline: the tokenizer gives sources a vocabulary of their own, of ",
                    own.value_or(0), " tokens, expected one for both sides, as this model has");
            return Model(layout, options, space);
        }
    }

    bool weights_may_change_ = false;

    /// All weights, on the host.
    [[nodiscard]] std::vector<Scalar> downloaded() const {
        Device device(options_.device);
        std::vector<Scalar> host(static_cast<std::size_t>(layout_.size()));
        download(device, static_cast<Scalar const*>(weights_.data()), std::span<Scalar>(host));
        return host;
    }
};

}  // namespace inkling::pipeline
