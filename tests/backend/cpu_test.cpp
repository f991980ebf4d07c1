#include <inkling/backend/cpu.hpp>

#include <inkling/core/random.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "all_results.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

using namespace inkling;

TEST_CASE_TEMPLATE("Cpu: every verb gives the same bits on 1, 2, 3 and 5 threads", Real, float, double) {
    auto const results = [](int threads) {
        backend::Cpu<Real> device({.threads = threads});
        return all_results(device);
    };
    auto const want = results(1);
    CHECK(want.size() > 30);
    for (int const threads : {2, 3, 5}) check_same_bits(results(threads), want, threads);
}

TEST_CASE("Cpu: sixteen Philox calls side by side are sixteen Philox calls") {
    RandomStream const stream{0x0123456789abcdef, Purpose::dropout, 77, 0xfffffffe};
    for (std::uint32_t const first : {0u, 5u, 0xfffffff8u}) {  // the last one wraps around
        std::uint32_t words[4][16];
        backend::detail::philox_lanes(stream, first, words);
        for (std::uint32_t call = 0; call < 16; ++call) {
            auto const want = stream.bits(first + call);
            for (std::size_t word = 0; word < 4; ++word) CHECK(words[word][call] == want[word]);
        }
    }
}

TEST_CASE("Cpu: logits that are not numbers still name a token of the vocabulary") {
    backend::Cpu<> device({.threads = 1});
    std::vector<float> const z{std::numeric_limits<float>::quiet_NaN()};
    std::vector<float> const table{1.0F, 2.0F, 3.0F};
    Token token = -1;
    readout_argmax(device, {z.data(), 1, 1}, {table.data(), 3, 1}, {}, {&token, 1});
    CHECK(token >= 0);
    CHECK(token < 3);
    std::vector<Token> best(3, -1);
    std::vector<float> scores(3);
    readout_top(device, {z.data(), 1, 1}, {table.data(), 3, 1}, {}, {best.data(), 1, 3}, {scores.data(), 1, 3});
    CHECK(std::is_permutation(best.begin(), best.end(), std::vector<Token>{0, 1, 2}.begin()));
    CHECK_THROWS_WITH_AS(
        readout_top(device, {z.data(), 1, 1}, {table.data(), 2, 1}, {}, {best.data(), 1, 3}, {scores.data(), 1, 3}),
        "inkling::backend::readout_top: 3 tokens and 3 probabilities a row, expected as many, at most 2, the "
        "vocabulary",
        Error);
}

TEST_CASE("Cpu: a device that cannot be is refused; a copy has scratch of its own") {
    CHECK_THROWS_WITH_AS(backend::Cpu<>({.threads = -1}), "inkling::backend::Cpu: threads is -1, expected 0 or more",
                         Error);
    CHECK_THROWS_WITH_AS(backend::Cpu<>({.threads = 100'000}),
                         "inkling::backend::Cpu: threads is 100000, expected at most 1024", Error);
    CHECK(backend::Cpu<>({.threads = backend::Cpu<>::most_threads}).threads() == 1024);
    CHECK(backend::Cpu<>().threads() >= 1);
    backend::Cpu<> device({.threads = 2});
    device.reserve_scratch(10);
    backend::Cpu<> copied(device);
    copied.reserve_scratch(10);
    CHECK(copied.threads() == 2);
    CHECK(copied.scratch(0) != device.scratch(0));
    CHECK(copied.scratch(0) != copied.scratch(1));
}

namespace {

/// A size that the compiler cannot see: it warns of those which no memory could hold, and here they are meant.
Index unseen(Index size) {
    Index volatile hidden = size;
    return hidden;
}

}  // namespace

TEST_CASE("Cpu: memory that cannot be had is an error that names its size") {
#ifndef __SANITIZE_ADDRESS__  // which ends the program in place of giving no memory
    CHECK_THROWS_WITH_AS(backend::HostBuffer<double>(unseen(Index{1} << 58)),
                         "inkling::backend::HostBuffer: out of memory, 2305843009213693952 bytes asked for", Error);
#endif
    CHECK_THROWS_AS(backend::HostBuffer<double>(unseen(-1)), Error);
    CHECK_THROWS_AS(backend::HostBuffer<double>(unseen(std::numeric_limits<Index>::max())), Error);
    backend::HostBuffer<float> first(5);
    float* const place = first.data();
    backend::HostBuffer<float> second = std::move(first);
    CHECK(second.data() == place);
    CHECK(second.size() == 5);
    backend::HostBuffer<float> const large(Index{1} << 20);  // from 4 MiB on buffers can lie in huge pages
    CHECK(reinterpret_cast<std::uintptr_t>(large.data()) % (std::uintptr_t{2} << 20) == 0);
}

TEST_CASE_TEMPLATE("Cpu: a product with a packed factor has the bits of the product", Real, float, double) {
    backend::Cpu<Real> several({.threads = 2}), one({.threads = 1});
    Index const lanes = backend::detail::panel_width<Real>;
    for (Index const rows : {1, 3, 14, 15, 20, 130})
        for (Index const cols : {lanes, 3 * lanes, 10 * lanes})
            for (Index const depth : {1, 17, 512, 1025, 2100}) {    // sums of more than one block of terms, too
                auto& device = cols == 10 * lanes ? one : several;  // which copies rows that lie 2 KiB apart
                CAPTURE(rows);
                CAPTURE(cols);
                CAPTURE(depth);
                auto const left = testing::random_values<Real>(rows * depth, 1);
                auto const matrix = testing::random_values<Real>(cols * depth, 2);
                auto const bias = testing::random_values<Real>(cols, 3);
                MatrixView<Real const> const a(left.data(), rows, depth), b(matrix.data(), cols, depth);
                std::vector<Real> packed(matrix.size()), want(static_cast<std::size_t>(rows * cols), Real{7});
                auto got = want;
                REQUIRE(can_pack(device, cols, depth));
                pack(device, b, packed.data());
                product(device, a, backend::Orientation::plain, b, backend::Orientation::transposed,
                        MatrixView<Real>(want.data(), rows, cols), false, {bias.data(), cols});
                product_with_packed(device, a, static_cast<Real const*>(packed.data()),
                                    MatrixView<Real>(got.data(), rows, cols), {bias.data(), cols});
                CHECK(got == want);
            }
    CHECK(!can_pack(one, lanes + 1, 2));
    CHECK(!can_pack(one, lanes, 0));
}

namespace {
/// The nearest numbers with 8 significant bits, of two the even one.
std::vector<double> to_eight_bits(std::vector<float> const& values) {
    std::vector<double> rounded;
    for (float const value : values) {
        int exponent = 0;
        double const fraction = std::frexp(static_cast<double>(value), &exponent);
        rounded.push_back(std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8));
    }
    return rounded;
}
}  // namespace

TEST_CASE("Cpu: a product in bfloat16 is that of factors of 8 bits, and a row of it depends on no other") {
    backend::Cpu<> several({.threads = 2, .precision = backend::CpuPrecision::bf16});
    backend::Cpu<> one({.threads = 1, .precision = backend::CpuPrecision::bf16});
    Index const lanes = backend::detail::panel_width<float>;
    for (Index const cols : {lanes, 10 * lanes})
        for (Index const depth : {2, 18, 256, 1024, 2100}) {
            auto& device = cols == 10 * lanes ? one : several;
            CAPTURE(cols);
            CAPTURE(depth);
            Index const rows = 35;
            auto left = testing::random_values<float>(rows * depth, 1);
            left[0] = 1.00390625F;  // between two numbers of 8 bits
            auto const matrix = testing::random_values<float>(cols * depth, 2);
            auto const bias = testing::random_values<float>(cols, 3);
            REQUIRE(can_pack(device, cols, depth));
            REQUIRE(packed_density(device) == 2);
            std::vector<float> packed(matrix.size() / 2);
            pack(device, MatrixView<float const>(matrix.data(), cols, depth), packed.data());
            auto const multiplied = [&](Index first, Index count) {
                std::vector<float> result(static_cast<std::size_t>(count * cols), 7.0F);
                product_with_packed(device, MatrixView<float const>(left.data() + first * depth, count, depth),
                                    static_cast<float const*>(packed.data()),
                                    MatrixView<float>(result.data(), count, cols), {bias.data(), cols});
                return result;
            };
            auto const all = multiplied(0, rows);
            auto const rounded_left = to_eight_bits(left), rounded_matrix = to_eight_bits(matrix);
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < cols; ++j) {
                    double sum = static_cast<double>(bias[static_cast<std::size_t>(j)]), size = std::abs(sum);
                    for (Index k = 0; k < depth; ++k) {
                        double const term = rounded_left[static_cast<std::size_t>(i * depth + k)]
                            * rounded_matrix[static_cast<std::size_t>(j * depth + k)];
                        sum += term;
                        size += std::abs(term);
                    }
                    REQUIRE(std::abs(static_cast<double>(all[static_cast<std::size_t>(i * cols + j)]) - sum)
                            <= 1e-6 * size);
                }
            for (Index const count : {1, 3, 16, 20}) {
                auto const some = multiplied(rows - count, count);
                CHECK(std::equal(some.begin(), some.end(), all.end() - count * cols));
            }
        }
    CHECK(!can_pack(one, lanes, 3));
}

TEST_CASE("Cpu: in bfloat16 the factors of any product have 8 bits, however they are stored, and no row sees another") {
    using backend::Orientation;
    CHECK(rc::check([] {
        backend::Cpu<> several({.threads = 2, .precision = backend::CpuPrecision::bf16});
        backend::Cpu<> one({.threads = 1, .precision = backend::CpuPrecision::bf16});
        Index const rows = *rc::gen::inRange<Index>(1, 150), cols = *rc::gen::inRange<Index>(1, 100);
        Index const depth = *rc::gen::oneOf(rc::gen::inRange<Index>(0, 140),
                                            rc::gen::elementOf(std::vector<Index>{32, 256, 512, 2100, 4200}));
        bool const left_turned = *rc::gen::arbitrary<bool>(), right_turned = *rc::gen::arbitrary<bool>();
        bool const accumulate = *rc::gen::arbitrary<bool>(), biased = *rc::gen::arbitrary<bool>();
        Index const apart = cols + *rc::gen::inRange<Index>(0, 5);
        auto const left = testing::random_values<float>(rows * depth, 1);
        auto const right = testing::random_values<float>(cols * depth, 2);
        auto const bias = testing::random_values<float>(cols, 3);
        auto const before = testing::random_values<float>(rows * apart, 4);
        auto const multiplied = [&](backend::Cpu<>& device, Index first, Index count) {
            std::vector<float> result(before.begin() + first * apart, before.begin() + (first + count) * apart);
            MatrixView<float const> const a = left_turned
                ? MatrixView<float const>(left.data() + first, depth, count, rows)
                : MatrixView<float const>(left.data() + first * depth, count, depth);
            MatrixView<float const> const b = right_turned ? MatrixView<float const>(right.data(), cols, depth)
                                                           : MatrixView<float const>(right.data(), depth, cols);
            product(device, a, left_turned ? Orientation::transposed : Orientation::plain, b,
                    right_turned ? Orientation::transposed : Orientation::plain,
                    MatrixView<float>(result.data(), count, cols, apart), accumulate,
                    biased ? VectorView<float const>(bias.data(), cols) : VectorView<float const>{});
            return result;
        };
        auto const all = multiplied(one, 0, rows);
        RC_ASSERT(multiplied(several, 0, rows) == all);
        Index const last = *rc::gen::inRange<Index>(1, rows + 1);
        auto const some = multiplied(one, rows - last, last);
        RC_ASSERT(std::equal(some.begin(), some.end(), all.end() - last * apart));

        auto const rounded_left = to_eight_bits(left), rounded_right = to_eight_bits(right);
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < apart; ++j) {
                auto const at = static_cast<std::size_t>(i * apart + j);
                auto const seen = static_cast<double>(all[at]), start = static_cast<double>(before[at]);
                if (j >= cols) {  // between two rows of the result
                    RC_ASSERT(seen == start);
                    continue;
                }
                double const added = biased ? static_cast<double>(bias[static_cast<std::size_t>(j)]) : 0.0;
                double sum = (accumulate ? start : 0.0) + added;
                double size = (accumulate ? std::abs(start) : 0.0) + std::abs(added);
                for (Index k = 0; k < depth; ++k) {
                    auto const x = static_cast<std::size_t>(left_turned ? k * rows + i : i * depth + k);
                    auto const y = static_cast<std::size_t>(right_turned ? j * depth + k : k * cols + j);
                    double const term = rounded_left[x] * rounded_right[y];
                    sum += term;
                    size += std::abs(term);
                }
                RC_ASSERT(std::abs(seen - sum) <= 1e-6 * size);
            }
    }));
}

TEST_CASE("Cpu: what is not a number stays so in bfloat16, in its row alone") {
    backend::Cpu<> device({.threads = 1, .precision = backend::CpuPrecision::bf16});
    Index const rows = 40, cols = 40, depth = 64;
    auto left = testing::random_values<float>(rows * depth, 1);
    auto const right = testing::random_values<float>(cols * depth, 2);
    left[7 * depth + 5] = std::numeric_limits<float>::quiet_NaN();
    left[20 * depth + 9] = std::numeric_limits<float>::infinity();
    std::vector<float> result(static_cast<std::size_t>(rows * cols));
    product(device, MatrixView<float const>(left.data(), rows, depth), backend::Orientation::plain,
            MatrixView<float const>(right.data(), cols, depth), backend::Orientation::transposed,
            MatrixView<float>(result.data(), rows, cols));
    for (std::size_t i = 0; i < result.size(); ++i) {
        auto const row = i / static_cast<std::size_t>(cols);
        CHECK(std::isnan(result[i]) == (row == 7));
        CHECK(std::isinf(result[i]) == (row == 20));
    }
}

TEST_CASE(
    "Cpu: in bfloat16 a read-out says of tokens what it says in single precision, and its gradients are rounded") {
    Index const rows = 20, vocabulary = 90, latent = 48, both = rows * latent;
    auto const x = testing::random_values<float>(rows * latent, 1), y = testing::random_values<float>(rows * latent, 2);
    auto const table = testing::random_values<float>(vocabulary * latent, 3);
    auto const bias = testing::random_values<float>(vocabulary, 4);
    std::vector<Token> targets(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<Token>(7 * i % 90);

    struct Said {
        std::vector<double> sums;
        std::vector<float> of_tokens, slopes;
        std::vector<Token> tokens;
    };
    auto const said = [&](backend::CpuPrecision precision) {
        backend::Cpu<> device({.threads = 1, .precision = precision});
        MatrixView<float const> const a(x.data(), rows, latent), b(y.data(), rows, latent);
        MatrixView<float const> const words(table.data(), vocabulary, latent);
        VectorView<float const> const added(bias.data(), vocabulary);
        Said all{std::vector<double>(3), std::vector<float>(2 * targets.size()), std::vector<float>(2 * x.size()),
                 std::vector<Token>(targets.size())};
        MatrixView<float> const of_loss(all.slopes.data(), rows, latent),
            of_divergence(of_loss.row(rows), rows, latent);
        readout_cross_entropy(device, a, words, added, {targets.data(), rows}, 0.1, 1.0, all.sums.data(), of_loss);
        readout_divergence(device, a, b, words, added, 1.0, all.sums.data() + 2, of_divergence);
        readout_argmax(device, a, words, added, {all.tokens.data(), rows}, {all.of_tokens.data(), rows});
        readout_log_probabilities(device, a, words, added, {targets.data(), rows}, {all.of_tokens.data() + rows, rows});
        return all;
    };
    auto const whole = said(backend::CpuPrecision::single), rounded = said(backend::CpuPrecision::bf16);
    CHECK(rounded.sums == whole.sums);
    CHECK(rounded.tokens == whole.tokens);
    CHECK(rounded.of_tokens == whole.of_tokens);
    for (Index const first : {Index{0}, both}) {  // of the loss, of the divergence
        float largest = 0.0F, error = 0.0F;
        for (Index i = first; i < first + both; ++i) {
            auto const at = static_cast<std::size_t>(i);
            largest = std::max(largest, std::abs(whole.slopes[at]));
            error = std::max(error, std::abs(rounded.slopes[at] - whole.slopes[at]));
        }
        CHECK(error > 0.0F);
        CHECK(error < 0.01F * largest);  // each of two factors is up to 1/512 off
    }
}

TEST_CASE("Cpu: tokens that cannot be leave the most probable one and its probability as they are") {
    backend::Cpu<> device({.threads = 1});
    Index const vocabulary = 10'000;
    std::vector<float> const z{1.0F}, table(static_cast<std::size_t>(vocabulary), 0.0F);
    std::vector<float> bias(table.size(), -std::numeric_limits<float>::infinity());
    bias[7000] = bias[9000] = 1.0F;
    Token token = -1;
    float log_probability = 1.0F;
    readout_argmax(device, {z.data(), 1, 1}, {table.data(), vocabulary, 1}, {bias.data(), vocabulary}, {&token, 1},
                   {&log_probability, 1});
    CHECK(token == 7000);
    CHECK(log_probability == doctest::Approx(-std::log(2.0)));
}

TEST_CASE("Cpu: what is not a number, or beyond all numbers, stays so in bfloat16") {
    for (float const value : {std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7F800001U)})
        CHECK((backend::detail::round_to_bfloat16(value) & 0x7FC0U) == 0x7FC0U);
    CHECK(backend::detail::round_to_bfloat16(std::numeric_limits<float>::infinity()) == 0x7F80U);
    CHECK(backend::detail::round_to_bfloat16(-std::numeric_limits<float>::max()) == 0xFF80U);
}

#if defined(__SSE2__)
TEST_CASE("Cpu: subnormal numbers are 0 in verbs, on every thread, and nowhere else") {
    auto const product_of = [](float a, float b) {
        float volatile const x = a, y = b;
        return x * y;
    };
    for (int const threads : {1, 2}) {
        backend::Cpu<> device({.threads = threads});
        std::vector<float> numbers(100'000, 1e-30F);
        MatrixView<float> const all(numbers.data(), 1000, 100);
        scale(device, 1e-10F, all, all);  // results
        CHECK(std::count(numbers.begin(), numbers.end(), 0.0F) == all.size());
        std::fill(numbers.begin(), numbers.end(), 1e-40F);
        scale(device, 1e10F, all, all);  // operands
        CHECK(std::count(numbers.begin(), numbers.end(), 0.0F) == all.size());
        std::vector<float> seen(8, 7.0F);
        device.parallel(8, 1, [&](Index begin, Index, int) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that others take some
            seen[static_cast<std::size_t>(begin)] = product_of(1e-30F, 1e-10F);
        });
        CHECK(seen == std::vector<float>(8));
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
        seen[static_cast<std::size_t>(omp_get_thread_num())] = product_of(1e-30F, 1e-10F);
        for (int thread = 0; thread < threads; ++thread) CHECK(seen[static_cast<std::size_t>(thread)] > 0.0F);
#endif
        CHECK(product_of(1e-30F, 1e-10F) > 0.0F);
    }
}
#endif

namespace {
/// A backend of one's own that may have another product.
struct Derived : backend::Cpu<> {
    using Cpu::Cpu;
};
}  // namespace
static_assert(backend::PacksFactors<backend::Cpu<>> && backend::PacksFactors<backend::Cpu<double>>);
static_assert(!backend::PacksFactors<Derived>);  // whose product would be passed over
static_assert(backend::FusesResiduals<backend::Cpu<>> && backend::FusesResiduals<backend::Cpu<double>>);
static_assert(!backend::FusesResiduals<Derived>);  // whose norm would be passed over

TEST_CASE("Cpu: products of no rows, no columns or no terms are what sums of nothing are") {
    backend::Cpu<> device;
    std::vector<float> const some{1, 2, 3, 4};
    std::vector<float> result{5, 6};
    auto const multiply = [&](Index rows, Index cols, Index depth) {
        product(device, {some.data(), rows, depth}, backend::Orientation::plain, {some.data(), cols, depth},
                backend::Orientation::transposed, MatrixView<float>(result.data(), rows, cols));
    };
    multiply(0, 2, 2);
    multiply(2, 0, 2);
    CHECK(result == std::vector<float>{5, 6});
    multiply(1, 2, 0);
    CHECK(result == std::vector<float>{0, 0});
}
