#include <inkling/embedding/pretrained.hpp>

#include "io/temporary_folder.hpp"
#include "tiny.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Pipeline = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Pretrained,
                               denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

Pipeline::Options options() {
    auto const other = tiny::options();
    Pipeline::Options options;
    options.schedule = other.schedule;
    options.embedding = {
        .width = 8,
        .table = embedding::normalized({8, testing::random_values<float>(tiny::tokenizer().vocabulary_size() * 8, 9)})};
    options.denoiser = other.denoiser;
    options.sampler = other.sampler;
    options.device = other.device;
    return options;
}

}  // namespace

TEST_CASE("a pretrained table is the same bits after training, in the model file and in what is loaded from it") {
    auto const wanted = options();
    Pipeline pipeline(tiny::tokenizer(), wanted);
    auto const words = tiny::tokenizer();
    text::ParallelCorpus corpus;
    for (std::string const& line : tiny::sentences(40)) corpus.add(words.encode(line), words.encode(line));
    Trainer<Pipeline, objective::Rounding, train::InverseSquareRoot> trainer(
        pipeline, {.steps = 5, .learning_rate = {.peak = 1e-2, .warm_up = 1}, .tokens_per_batch = 64});
    trainer.fit(corpus);
    auto const values = [](Pipeline const& of, nn::Parameter parameter) {
        return std::vector<float>(of.weights().data + parameter.offset,
                                  of.weights().data + parameter.offset + parameter.size());
    };
    CHECK(values(pipeline, pipeline.space().table()) == wanted.embedding.table->values);
    CHECK(values(pipeline, pipeline.space().readout()) != wanted.embedding.table->values);

    TemporaryFolder const folder;
    pipeline.save(folder / "model.inkling");
    auto const loaded = Pipeline::load<text::WordTokenizer>(folder / "model.inkling");  // without a table
    CHECK(values(loaded, loaded.space().table()) == wanted.embedding.table->values);
    CHECK(values(loaded, loaded.space().readout()) == values(pipeline, pipeline.space().readout()));
    CHECK(loaded.options().embedding.width == 8);
    CHECK(loaded.configuration().dump().size() < 2000);  // the table is no setting

    auto none = wanted;
    none.embedding.table = nullptr;
    CHECK_THROWS_WITH_AS(Pipeline(tiny::tokenizer(), none), doctest::Contains("has no values to start with"), Error);
}
