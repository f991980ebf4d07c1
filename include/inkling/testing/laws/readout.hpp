#pragma once

#include <inkling/testing/laws/products.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string readout_cross_entropy_is_its_formula(B& device) {
    using Real = ScalarOf<B>;
    struct Case {
        Index rows, vocabulary, width;
        double smoothing;
        bool bias;
    };
    for (auto const& [rows, vocabulary, width, smoothing, with_bias] :
         {Case{1, 2, 3, 0.0, false}, Case{5, 37, 8, 0.0, true}, Case{5, 37, 8, 0.1, true},
          Case{500, 50, 16, 0.1, false}}) {
        auto const z = random<B>(rows * width, 1), t = random<B>(vocabulary * width, 2), b = random<B>(vocabulary, 3);
        auto const dz0 = random<B>(rows * width, 4), dt0 = random<B>(vocabulary * width, 5),
                   db0 = random<B>(vocabulary, 6);
        std::vector<Token> targets;
        for (Index i = 0; i < rows; ++i) targets.push_back(static_cast<Token>(i * 7 % vocabulary));
        double const factor = 1.0 / static_cast<double>(rows);
        std::vector<double> dz(exact(dz0)), dt(exact(dt0)), db(exact(db0)), losses{0.0, 0.0}, of_rows;
        auto const logits = naive_product(z, false, t, true, rows, vocabulary, width,
                                          static_cast<std::vector<Real>*>(nullptr), with_bias ? &b : nullptr);
        for (Index i = 0; i < rows; ++i) {
            double const* const row = logits.values.data() + i * vocabulary;
            double const top = *std::max_element(row, row + vocabulary);
            double total = 0.0, mean = 0.0;
            for (Index v = 0; v < vocabulary; ++v) total += std::exp(row[v] - top);
            double const log_total = std::log(total) + top;
            for (Index v = 0; v < vocabulary; ++v) mean += (row[v] - log_total) / static_cast<double>(vocabulary);
            double const nll = log_total - row[targets[static_cast<std::size_t>(i)]];
            losses[0] += nll;
            of_rows.push_back((1.0 - smoothing) * nll - smoothing * mean);
            losses[1] += of_rows.back();
            for (Index v = 0; v < vocabulary; ++v) {
                double const aim = (v == targets[static_cast<std::size_t>(i)] ? 1.0 - smoothing : 0.0)
                    + smoothing / static_cast<double>(vocabulary);
                double const slope = factor * (std::exp(row[v] - log_total) - aim);
                db[static_cast<std::size_t>(v)] += slope;
                for (Index d = 0; d < width; ++d) {
                    auto const at_z = static_cast<std::size_t>(i * width + d),
                               at_t = static_cast<std::size_t>(v * width + d);
                    dz[at_z] += slope * static_cast<double>(t[at_t]);
                    dt[at_t] += slope * static_cast<double>(z[at_z]);
                }
            }
        }
        DeviceArray<B> const table(device, t), bias(device, b);
        DeviceArray<B, Token> const tokens(device, targets);
        DeviceArray<B, double> sums(device, std::vector<double>{-1.0, -1.0});
        Padded<B> in(device, z, width, 1), dz_got(device, dz0, width, 2);
        DeviceArray<B> dt_got(device, dt0), db_got(device, db0), rows_got(device, rows);
        auto const offsets = with_bias ? bias.vector() : VectorView<Real const>{};
        readout_cross_entropy(device, in.view(), table.matrix(width), offsets, tokens.vector(), smoothing, factor,
                              sums.data(), dz_got.view(), dt_got.matrix(width), db_got.vector(), {}, rows_got.vector());
        auto const got = sums.get(device);
        readout_cross_entropy(device, in.view(), table.matrix(width), offsets, tokens.vector(), smoothing, factor,
                              sums.data());
        double const rounding = unit<B>() * static_cast<double>(width + 16) * 64;
        auto const name = message("readout_cross_entropy [", rows, ", ", vocabulary, "], smoothing ", smoothing);
        auto const found = first_of({far_apart(name, got, losses, {rounding * losses[0]}),
                                     not_same(name + " without gradients", sums.get(device), got),
                                     far_apart(name + ", losses of rows", rows_got.get(device), of_rows, {rounding}),
                                     far_apart(name + ", dz", dz_got.get(device), dz, {rounding}),
                                     far_apart(name + ", dtable", dt_got.get(device), dt, {rounding * 4}),
                                     far_apart(name + ", dbias", db_got.get(device), db, {rounding * 4})});
        if (!found.empty()) return found;
    }
    return {};
}

/// A row that weighs twice counts as two rows, and one without weight as none.
template <Backend B>
[[nodiscard]] std::string weights_of_a_readout_count_its_rows(B& device) {
    Index const vocabulary = 37, width = 8;
    auto const t = random<B>(vocabulary * width, 2), first = random<B>(3 * width, 1);
    auto const row = [&](std::size_t i) { return first.begin() + static_cast<std::ptrdiff_t>(i) * width; };
    auto twice = first;  // rows 0, 1, 2 with weights 2, 0, 1 against rows 0, 0, 2
    std::copy_n(row(0), width, twice.begin() + width);
    DeviceArray<B> const table(device, t), z(device, first), counted(device, twice);
    DeviceArray<B> const weights(device, std::vector<ScalarOf<B>>{2, 0, 1});
    DeviceArray<B, Token> const tokens(device, std::vector<Token>{3, 5, 7}),
        counted_tokens(device, std::vector<Token>{3, 3, 7});
    DeviceArray<B, double> sums(device, std::vector<double>{-1.0, -1.0}),
        want_sums(device, std::vector<double>{-1.0, -1.0});
    auto const zeros = std::vector<ScalarOf<B>>(t.size());
    DeviceArray<B> dt(device, zeros), want_dt(device, zeros);
    DeviceArray<B> of_rows(device, 3);
    readout_cross_entropy(device, z.matrix(width), table.matrix(width), {}, tokens.vector(), 0.1, 0.5, sums.data(), {},
                          dt.matrix(width), {}, weights.vector(), of_rows.vector());
    readout_cross_entropy(device, counted.matrix(width), table.matrix(width), {}, counted_tokens.vector(), 0.1, 0.5,
                          want_sums.data(), {}, want_dt.matrix(width));
    auto const want = want_sums.get(device);
    auto const parts = of_rows.get(device);
    return first_of({far_apart<double>(
                         "weighted readout_cross_entropy, losses of rows",
                         {static_cast<double>(parts[0]) + static_cast<double>(parts[2]), static_cast<double>(parts[1])},
                         {want[1], 0.0}, {unit<B>() * 256 * want[1]}),
                     far_apart("weighted readout_cross_entropy", sums.get(device), want, {unit<B>() * 256 * want[0]}),
                     far_apart("weighted readout_cross_entropy, dtable", dt.get(device), exact(want_dt.get(device)),
                               {unit<B>() * 256})});
}

/// The divergence of what is read out of x from what is read out of y; of the same rows it is 0.
template <Backend B>
[[nodiscard]] std::string readout_divergence_is_its_formula(B& device) {
    using Real = ScalarOf<B>;
    Index const width = 9;
    for (auto const& sizes : {std::pair<Index, Index>{5, 50}, {300, 7}, {130, 1000}}) {
        Index const rows = sizes.first, vocabulary = sizes.second;
        double const factor = 0.3;
        auto const x = random<B>(rows * width, 1), y = random<B>(rows * width, 2), t = random<B>(vocabulary * width, 3),
                   b = random<B>(vocabulary, 4), w = random<B>(rows, 5);
        auto const dx0 = random<B>(rows * width, 6), dt0 = random<B>(vocabulary * width, 7),
                   db0 = random<B>(vocabulary, 8);
        std::vector<double> dx(exact(dx0)), dy(exact(dx0)), dt(exact(dt0)), db(exact(db0)), of_rows, plain;
        auto const logits = [&](std::vector<Real> const& z) {
            return naive_product(z, false, t, true, rows, vocabulary, width, static_cast<std::vector<Real>*>(nullptr),
                                 &b)
                .values;
        };
        auto const of_x = logits(x), of_y = logits(y);
        auto const log_total = [&](double const* row) {
            double const top = *std::max_element(row, row + vocabulary);
            double total = 0.0;
            for (Index v = 0; v < vocabulary; ++v) total += std::exp(row[v] - top);
            return std::log(total) + top;
        };
        double sum = 0.0;
        for (Index i = 0; i < rows; ++i) {
            double const *const p = of_x.data() + i * vocabulary, *const q = of_y.data() + i * vocabulary;
            double const total_p = log_total(p), total_q = log_total(q);
            double const weight = static_cast<double>(w[static_cast<std::size_t>(i)]);
            double own = 0.0;
            for (Index v = 0; v < vocabulary; ++v)
                own += std::exp(p[v] - total_p) * ((p[v] - total_p) - (q[v] - total_q));
            plain.push_back(own);
            of_rows.push_back(weight * own);
            sum += weight * own;
            for (Index v = 0; v < vocabulary; ++v) {
                double const chance = std::exp(p[v] - total_p);
                double const down = factor * weight * chance * ((p[v] - total_p) - (q[v] - total_q) - own);
                double const up = factor * weight * (std::exp(q[v] - total_q) - chance);
                db[static_cast<std::size_t>(v)] += down + up;
                for (Index d = 0; d < width; ++d) {
                    auto const at_z = static_cast<std::size_t>(i * width + d),
                               at_t = static_cast<std::size_t>(v * width + d);
                    dx[at_z] += down * static_cast<double>(t[at_t]);
                    dy[at_z] += up * static_cast<double>(t[at_t]);
                    dt[at_t] += down * static_cast<double>(x[at_z]) + up * static_cast<double>(y[at_z]);
                }
            }
        }
        DeviceArray<B> const table(device, t), bias(device, b), weights(device, w);
        DeviceArray<B, double> sums(device, std::vector<double>{-1.0, -1.0, -1.0});
        Padded<B> in(device, x, width, 1), other(device, y, width, 2), dx_got(device, dx0, width, 2),
            dy_got(device, dx0, width, 3);
        DeviceArray<B> dt_got(device, dt0), db_got(device, db0), rows_got(device, rows), plain_got(device, rows);
        readout_divergence(device, in.view(), other.view(), table.matrix(width), bias.vector(), factor, sums.data(),
                           dx_got.view(), dy_got.view(), dt_got.matrix(width), db_got.vector(), weights.vector(),
                           rows_got.vector());
        readout_divergence(device, in.view(), other.view(), table.matrix(width), bias.vector(), factor, sums.data() + 1,
                           {}, {}, {}, {}, {}, plain_got.vector());
        readout_divergence(device, in.view(), in.view(), table.matrix(width), VectorView<Real const>{}, factor,
                           sums.data() + 2);
        auto const got = sums.get(device);
        double const rounding = unit<B>() * static_cast<double>(width + 16) * 64;
        auto const name = message("readout_divergence [", rows, ", ", vocabulary, "]");
        auto const found =
            first_of({far_apart<double>(name, {got[0], got[2]}, {sum, 0.0}, {rounding * static_cast<double>(rows)}),
                      far_apart(name + ", of rows", rows_got.get(device), of_rows, {rounding}),
                      far_apart(name + ", of rows without weights", plain_got.get(device), plain, {rounding}),
                      far_apart(name + ", dx", dx_got.get(device), dx, {rounding}),
                      far_apart(name + ", dy", dy_got.get(device), dy, {rounding}),
                      far_apart(name + ", dtable", dt_got.get(device), dt, {rounding * 4}),
                      far_apart(name + ", dbias", db_got.get(device), db, {rounding * 4})});
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string readout_argmax_names_the_most_probable_token(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 300, width = 9;
    for (Index const vocabulary : {50, 9000}) {  // beyond what is looked at at once
        auto const z = random<B>(rows * width, 1), b = random<B>(vocabulary, 3);
        auto t = random<B>(vocabulary * width, 2);
        auto even = b;
        std::vector<Index> const twins{7, vocabulary - 5};  // each is another token again: ties go to the lower number
        for (Index const twin : twins) {
            Index const first = twin / 7 - 1;
            for (Index i = first * width; i < (first + 1) * width; ++i) t[static_cast<std::size_t>(i)] *= Real{4};
            std::copy_n(t.begin() + first * width, width, t.begin() + twin * width);
            even[static_cast<std::size_t>(twin)] = even[static_cast<std::size_t>(first)];
        }
        DeviceArray<B> const table(device, t), bias(device, even);
        DeviceArray<B, Token> tokens(device, rows), again(device, rows);
        DeviceArray<B> log_probabilities(device, rows);
        Padded<B> in(device, z, width, 3);
        readout_argmax(device, in.view(), table.matrix(width), bias.vector(), tokens.vector(),
                       log_probabilities.vector());
        readout_argmax(device, in.view(), table.matrix(width), bias.vector(), again.vector());
        auto const logits =
            naive_product(z, false, t, true, rows, vocabulary, width, static_cast<std::vector<Real>*>(nullptr), &even);
        auto const got = tokens.get(device);
        std::vector<double> log_p;
        for (Index i = 0; i < rows; ++i) {
            double const* const row = logits.values.data() + i * vocabulary;
            double const top = *std::max_element(row, row + vocabulary);
            Token const token = got[static_cast<std::size_t>(i)];
            double const slack =
                logits
                    .tolerance[static_cast<std::size_t>(i * vocabulary + std::clamp<Index>(token, 0, vocabulary - 1))];
            if (token < 0 || token >= vocabulary || token == twins[0] || token == twins[1]
                || row[token] < top - 2 * slack)
                return message("readout_argmax: row ", i, " gives token ", token, ", which is not the most probable");
            double total = 0.0;
            for (Index v = 0; v < vocabulary; ++v) total += std::exp(row[v] - top);
            log_p.push_back(-std::log(total));
        }
        auto const found = first_of(
            {not_same("readout_argmax without probabilities", again.get(device), got),
             far_apart("readout_argmax, log probability", log_probabilities.get(device), log_p, {unit<B>() * 512})});
        if (!found.empty()) return found;
    }
    return {};
}

/// The K best tokens of a row are those of its sorted logits, the first of them the one that readout_argmax names; and
/// log p of a given token is the same number whichever verb tells it.
template <Backend B>
[[nodiscard]] std::string readout_top_names_the_most_probable_tokens(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 130, vocabulary = 50, width = 9;
    auto const z = random<B>(rows * width, 1), b = random<B>(vocabulary, 3);
    auto t = random<B>(vocabulary * width, 2);
    std::copy_n(t.begin(), width, t.begin() + 7 * width);  // token 7 is token 0: ties go to the lower number
    auto even = b;
    even[7] = even[0];
    DeviceArray<B> const table(device, t), bias(device, even);
    Padded<B> in(device, z, width, 3);
    auto const logits =
        naive_product(z, false, t, true, rows, vocabulary, width, static_cast<std::vector<Real>*>(nullptr), &even);
    DeviceArray<B, Token> best(device, rows);
    readout_argmax(device, in.view(), table.matrix(width), bias.vector(), best.vector());
    auto const most_probable = best.get(device);
    for (Index const count : {1, 5, 50}) {
        DeviceArray<B, Token> tokens(device, rows * count);
        Padded<B> scores(device, std::vector<Real>(static_cast<std::size_t>(rows * count)), count, 2);
        readout_top(device, in.view(), table.matrix(width), bias.vector(), tokens.matrix(count), scores.view());
        auto const got = tokens.get(device);
        auto const log_p = scores.get(device);
        DeviceArray<B> given(device, rows);
        for (Index k = 0; k < count; ++k) {
            std::vector<Token> column;
            std::vector<Real> own;
            std::vector<double> want;
            for (Index i = 0; i < rows; ++i) {
                auto const at = static_cast<std::size_t>(i * count + k);
                double const* const row = logits.values.data() + i * vocabulary;
                Token const token = got[at];
                auto const where =
                    message("readout_top of ", count, ": row ", i, " has token ", token, " in place ", k);
                if (token < 0 || token >= vocabulary) return where + ", which is none of the vocabulary";
                if (k == 0 && token != most_probable[static_cast<std::size_t>(i)])
                    return where + message(", readout_argmax names ", most_probable[static_cast<std::size_t>(i)]);
                Index above = 0;  // tokens that are surely more probable
                double total = 0.0;
                double const top = *std::max_element(row, row + vocabulary);
                for (Index v = 0; v < vocabulary; ++v) {
                    double const slack = 2 * logits.tolerance[static_cast<std::size_t>(i * vocabulary + v)];
                    above += row[v] > row[token] + slack || (token == 7 && v == 0);
                    total += std::exp(row[v] - top);
                }
                if (above > k) return where + message(", but ", above, " tokens come before it");
                for (Index j = 0; j < k; ++j)
                    if (got[at - static_cast<std::size_t>(k - j)] == token) return where + ", and in an earlier one";
                column.push_back(token);
                own.push_back(log_p[at]);
                want.push_back(row[token] - top - std::log(total));
            }
            DeviceArray<B, Token> const chosen(device, column);
            readout_log_probabilities(device, in.view(), table.matrix(width), bias.vector(), chosen.vector(),
                                      given.vector());
            auto const name = message("readout_top of ", count, ", log probability of place ", k);
            auto const found =
                first_of({far_apart(name, own, want, {unit<B>() * 512}),
                          not_same(name + " as readout_log_probabilities has it", given.get(device), own)});
            if (!found.empty()) return found;
        }
    }
    return {};
}

/// Where one token is nearly certain, what little the others add is all of its loss, and none of it is lost.
template <Backend B>
[[nodiscard]] std::string a_nearly_certain_token_has_a_small_loss(B& device) {
    using Real = ScalarOf<B>;
    Index const vocabulary = 10'000, rows = 3, sure = 4321;
    double const ahead = 20.0, ahead_of_other = 19.0;  // its logit; that of all others is 0
    auto const others = [&](double gap) { return static_cast<double>(vocabulary - 1) * std::exp(-gap); };
    double const loss = std::log1p(others(ahead)), other_loss = std::log1p(others(ahead_of_other));
    double const divergence = (other_loss - loss) + others(ahead) / (1.0 + others(ahead)) * (ahead_of_other - ahead);
    std::vector<Real> column(static_cast<std::size_t>(vocabulary)), x(rows, static_cast<Real>(ahead)),
        y(rows, static_cast<Real>(ahead_of_other));
    column[static_cast<std::size_t>(sure)] = Real{1};
    DeviceArray<B> const table(device, column), z(device, x), other(device, y);
    DeviceArray<B, Token> const targets(device, std::vector<Token>(rows, static_cast<Token>(sure)));
    DeviceArray<B, Token> best(device, rows), two(device, rows * 2);
    DeviceArray<B> given(device, rows), of_best(device, rows), of_two(device, rows * 2);
    DeviceArray<B, double> sums(device, std::vector<double>{-1.0, -1.0, -1.0});
    readout_cross_entropy(device, z.matrix(1), table.matrix(1), {}, targets.vector(), 0.0, 1.0, sums.data());
    readout_divergence(device, z.matrix(1), other.matrix(1), table.matrix(1), {}, 1.0, sums.data() + 2);
    readout_log_probabilities(device, z.matrix(1), table.matrix(1), {}, targets.vector(), given.vector());
    readout_argmax(device, z.matrix(1), table.matrix(1), {}, best.vector(), of_best.vector());
    readout_top(device, z.matrix(1), table.matrix(1), {}, two.matrix(2), of_two.matrix(2));
    // relative, but for the V roundings of a sum in double that is 1 and a little
    auto const slack = [&](double size) { return unit<B>() * 512 * size + static_cast<double>(vocabulary) * 0x1p-53; };
    double const count = static_cast<double>(rows);
    std::vector<double> const log_p(rows, -loss);
    std::vector<double> log_p_of_two, slack_of_two;
    for (Index i = 0; i < rows; ++i)
        for (double const size : {loss, loss + ahead}) {
            log_p_of_two.push_back(-size);
            slack_of_two.push_back(slack(size));
        }
    auto const got = sums.get(device);
    return first_of(
        {far_apart<double>("readout_cross_entropy of a nearly certain token", {got[0], got[1]},
                           {count * loss, count * loss}, {count * slack(loss)}),
         far_apart<double>("readout_divergence of nearly certain tokens", {got[2]}, {count * divergence},
                           {count * slack(other_loss)}),
         far_apart("readout_log_probabilities of a nearly certain token", given.get(device), log_p, {slack(loss)}),
         far_apart("readout_argmax, log probability of a nearly certain token", of_best.get(device), log_p,
                   {slack(loss)}),
         far_apart("readout_top, log probability of a nearly certain token", of_two.get(device), log_p_of_two,
                   slack_of_two)});
}

template <Backend B>
[[nodiscard]] std::string the_nearest_other_row_is_not_the_row_itself(B& device) {
    for (Index const rows : {2, 37, 500}) {
        Index const cols = 6;
        auto const table = random<B>(rows * cols, 1);
        Padded<B> in(device, table, cols, 2);
        DeviceArray<B, double> sum(device, std::vector<double>{-1.0});
        nearest_other_distance(device, in.view(), sum.data());
        double want = 0.0, largest = 0.0;
        for (Index i = 0; i < rows; ++i) {
            double nearest = std::numeric_limits<double>::infinity(), square = 0.0;
            for (Index j = 0; j < rows; ++j) {
                double distance = 0.0;
                for (Index d = 0; d < cols; ++d) {
                    auto const a = static_cast<double>(table[static_cast<std::size_t>(i * cols + d)]);
                    distance += std::pow(a - static_cast<double>(table[static_cast<std::size_t>(j * cols + d)]), 2);
                    if (i == j) square += a * a;
                }
                if (i != j) nearest = std::min(nearest, distance);
            }
            want += nearest;
            largest = std::max(largest, square);
        }
        auto const found =
            far_apart<double>(message("nearest_other_distance of ", rows, " rows"), sum.get(device), {want},
                              {unit<B>() * static_cast<double>(rows * (cols + 4)) * 4 * largest});
        if (!found.empty()) return found;
    }
    return {};
}

}  // namespace inkling::testing::laws
