// One side of compare_pytorch.py: does what it is told on standard input, a JSON object a line, and answers each with
// one. Nothing is measured here that a user's program would not do: text is written by TextDiffusion, weights by
// Trainer.

#include "device.hpp"

#include <inkling/inkling.hpp>
#include <inkling/io/npy.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <nlohmann/json.hpp>
#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

using namespace inkling;
using nlohmann::json;

namespace {

using compare::Device;
using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned, denoiser::EncoderDecoder<Device>,
                            sampler::Ddim>;
using AnyTrainer = Trainer<Model, objective::Anchor, train::Constant>;
using Sentences = std::vector<std::vector<Token>>;

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Side {
public:
    [[nodiscard]] json answer(json const& task) {
        auto const what = task.at("do").get<std::string>();
        if (what == "make") return make(task);
        if (what == "open") return open(task);
        if (what == "texts") return texts(task);
        if (what == "noise") return noise(task);
        if (what == "write") return write(task);
        if (what == "loss") return loss(task);
        if (what == "train") return train(task);
        if (what == "readout") return readout(task);
        if (what == "peak") return {{"flops", compare::peak(task)}};
        fail("there is no task '", what, "'");
    }

private:
    /// Writes a fresh model whose answers are as long as their sources.
    static json make(json const& task) {
        Index const vocabulary = task.at("vocabulary");
        std::vector<std::string> words;
        for (Index i = 4; i < vocabulary; ++i) words.push_back(message("w", i));
        text::MemoryLines lines{words};
        Model model(text::WordTokenizer::train(lines),
                    {.schedule = {.training_noise = 4.0},
                     .embedding = {.width = task.at("latent")},
                     .denoiser = {.width = task.at("width"),
                                  .layers = task.at("layers"),
                                  .heads = task.at("heads"),
                                  .hidden = task.at("hidden"),
                                  .dropout = 0.0,
                                  .longest_source = 1024,
                                  .longest_target = 1024},
                     .sampler = {.steps = 20},
                     .device = compare::device_options(task)});
        Device device(model.options().device);
        std::vector<float> weights(static_cast<std::size_t>(model.layout().size()));
        download(device, static_cast<float const*>(model.weights().data), std::span<float>(weights));
        auto const fill = [&](std::string const& name, float value, Index first, Index count) {
            auto const parameter = model.layout().find(name)->parameter;
            std::fill_n(weights.data() + parameter.offset + first, count, value);
        };
        // The mean of the encoder's rows is a tenth in every column, so the class of an offset of 0 always wins.
        auto const& sizes = model.model().options();
        fill(message("encoder.layers.", sizes.layers - 1, ".final_layer_norm.bias"), 0.1F, 0, sizes.width);
        fill("decoder.embed_length.weight", 0.0F, 0, sizes.length_classes * sizes.width);
        fill("decoder.embed_length.weight", 1.0F, sizes.length_classes / 2 * sizes.width, sizes.width);
        model.set_weights(weights);
        model.save(task.at("model").get<std::string>());
        return {{"weights", model.layout().size()}};
    }

    json open(json const& task) {
        auto const start = std::chrono::steady_clock::now();
        model_.reset();
        model_.emplace(Model::load<text::WordTokenizer>(
            task.at("model").get<std::string>(),
            {.sampler = {.steps = task.at("steps")}, .device = compare::device_options(task)}));
        json steps = json::array();
        auto const plan = model_->options().sampler.plan(model_->schedule());
        for (auto const& step : plan.steps)
            steps.push_back({{"label", model_->model().time_label({step.time, step.alpha_bar})},
                             {"z0", step.z0},
                             {"z_t", step.z_t}});
        return {{"seconds", seconds_since(start)},
                {"plan", steps},
                {"scale", model_->space().scale()},
                {"device", compare::device_name}};
    }

    json texts(json const& task) {
        sources_ = task.at("sources").get<Sentences>();
        return json::object();
    }

    /// Writes the first noise of every candidate, as `write` draws it: rows of all candidates, one behind the other.
    json noise(json const& task) {
        Index const candidates = task.at("candidates");
        auto const lengths = task.at("lengths").get<std::vector<Index>>();
        std::vector<Index> offsets{0}, keys;
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            offsets.push_back(offsets.back() + lengths[i]);
            keys.push_back(static_cast<Index>(i));
        }
        require(lengths.size() == sources_.size() * static_cast<std::size_t>(candidates), "there are ", lengths.size(),
                " lengths, expected one a candidate");
        Device device(model_->options().device);
        testing::DeviceArray<Device, Index> const places(device, offsets), streams(device, keys);
        Index const rows = offsets.back(), width = model_->space().width();
        testing::DeviceArray<Device> z(device, rows * width);
        Segments const segments{places.data(), static_cast<Index>(lengths.size()), rows,
                                *std::max_element(lengths.begin(), lengths.end())};
        fill_normal(device, RandomStream{0, Purpose::initial_noise}, segments, streams.vector(), z.matrix(width));
        return keep(task, z.get(device), rows);
    }

    /// Writes a matrix for the other side to read.
    static json keep(json const& task, std::vector<float> const& values, Index rows) {
        std::size_t const cols = values.size() / static_cast<std::size_t>(rows);
        xt::xtensor<float, 2> const matrix = xt::adapt(values, {static_cast<std::size_t>(rows), cols});
        io::write_npy(task.at("file").get<std::string>(), matrix);
        return json::object();
    }

    json write(json const& task) {
        GenerateOptions const options{.beams = {.length_beam = task.at("length_beam")},
                                      .tokens_per_batch = task.at("tokens_per_batch")};
        compare::reset_peak_memory();
        auto const start = std::chrono::steady_clock::now();
        auto const lines = model_->generate_tokens(sources_, options, decode::MeanLogProbability{});
        double const seconds = seconds_since(start);
        json tokens = json::array(), surety = json::array();
        for (auto const& line : lines) {
            tokens.push_back(line.tokens);
            surety.push_back(line.mean_log_probability);
        }
        return {{"seconds", seconds}, {"peak_MB", compare::peak_memory()}, {"tokens", tokens}, {"surety", surety}};
    }

    [[nodiscard]] text::ParallelCorpus corpus() const {
        text::ParallelCorpus pairs;
        for (auto const& sentence : sources_) pairs.add(sentence, sentence);
        return pairs;
    }

    /// The loss of all texts in one batch, and what was drawn for it.
    json loss(json const& task) {
        AnyTrainer::Options options{.steps = 1, .objective = {.label_smoothing = 0.1}};
        options.self_conditioning = 0.0;
        pipeline::DiffusionTraining<Model, objective::Anchor, objective::EvenLevels> training(*model_, options);
        Device device(model_->options().device);
        nn::Workspace<Device> workspace;
        nn::Pass<Device> pass{device, workspace, model_->weights().data};
        auto const pairs = corpus();
        std::vector<Index> all(sources_.size());
        std::iota(all.begin(), all.end(), Index{0});
        auto const batch = training.batch(pass, pairs, all, 1, 1, true);
        auto losses = training.loss(pass, batch);
        losses.collect(pass);
        auto const on_host = [&]<class T>(T const* from, Index count) {
            std::vector<T> values(static_cast<std::size_t>(count));
            download(device, from, std::span<T>(values));
            return values;
        };
        std::vector<float> noise;
        for (Index row = 0; row < batch.noise.rows; ++row) {
            auto const own = on_host(batch.noise.row(row), batch.noise.cols);
            noise.insert(noise.end(), own.begin(), own.end());
        }
        keep(task, noise, batch.noise.rows);
        auto const labels = on_host(batch.labels.data, batch.levels.rows);
        json levels = json::array();
        for (Index s = 0; s < batch.levels.rows; ++s) {
            auto const level = on_host(batch.levels.row(s), batch.levels.cols);
            levels.push_back({level[0], level[2], labels[static_cast<std::size_t>(s)]});
        }
        return {{"loss", losses.total()}, {"levels", levels}};
    }

    /// Updates of the weights, all that a training does but validation; seconds of the timed ones.
    json train(json const& task) {
        Index const warm = task.at("warm"), timed = task.at("timed");
        auto start = std::chrono::steady_clock::now();
        double seconds = 0.0;
        compare::reset_peak_memory();
        AnyTrainer trainer(*model_,
                           {.steps = warm + timed,
                            .objective = {.label_smoothing = 0.1},
                            .learning_rate = {.rate = 1e-5},
                            .tokens_per_batch = task.at("tokens_per_batch"),
                            .clip = 1.0,
                            .self_conditioning = 0.5,
                            .on_progress = [&](train::Progress const& progress) {
                                if (progress.step == warm) start = std::chrono::steady_clock::now();
                                if (progress.step == warm + timed && !progress.finished) seconds = seconds_since(start);
                            }});
        trainer.fit(corpus());
        return {{"seconds", seconds / static_cast<double>(timed)}, {"peak_MB", compare::peak_memory()}};
    }

    /// The likeliest tokens of random vectors, whatever the vocabulary: what rounding costs.
    json readout(json const& task) {
        Index const rows = task.at("rows");
        auto const width = model_->space().width();
        Device device(model_->options().device);
        nn::Workspace<Device> workspace;
        nn::Pass<Device> pass{device, workspace, model_->weights().data};
        std::vector<float> z(static_cast<std::size_t>(rows * width));
        for (std::size_t i = 0; i < z.size(); i += 4) {
            auto const four = normals<float>(RandomStream{1, Purpose::user}.bits(static_cast<std::uint32_t>(i / 4)));
            std::copy_n(four.begin(), std::min<std::size_t>(4, z.size() - i),
                        z.begin() + static_cast<std::ptrdiff_t>(i));
        }
        keep(task, z, rows);
        testing::DeviceArray<Device> const there(device, z);
        testing::DeviceArray<Device, Token> tokens(device, rows);
        auto const read_out = [&] {
            readout_argmax(device, there.matrix(width), pass.matrix(model_->space().readout()), {}, tokens.vector());
        };
        read_out();
        backend::synchronize(device, static_cast<Token const*>(tokens.data()));
        compare::reset_peak_memory();
        auto const start = std::chrono::steady_clock::now();
        read_out();
        auto const found = tokens.get(device);
        double const seconds = seconds_since(start);
        return {{"seconds", seconds}, {"peak_MB", compare::peak_memory()}, {"tokens", found}};
    }

    std::optional<Model> model_;
    Sentences sources_;
};

}  // namespace

int main() {
    Side side;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            std::cout << side.answer(json::parse(line)).dump() << std::endl;
        } catch (std::exception const& problem) { std::cout << json{{"error", problem.what()}}.dump() << std::endl; }
    }
}
