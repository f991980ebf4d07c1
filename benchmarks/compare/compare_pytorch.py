"""The same model, weights, tokens, noise and steps in inkling and in PyTorch, timed by turns in one run.

`./dev bench compare [--json FILE] [--rows a,b] [--pairs 5] [--threads 1,2]` calls this. Before a time is printed, both sides
must have written the same tokens in single precision (all but a hundredth, which rounding may decide otherwise) or computed the
same loss; in bfloat16, whose tokens differ more, nine tenths must be those of inkling's single precision, on either side, and
inkling's loss may be a hundredth off.
PyTorch's side is what a user of PyTorch would write: sentences sorted by length and padded to batches as fairseq does,
source and cross-attention keys and values computed once, scaled_dot_product_attention; eager and torch.compile, in single
precision and under bfloat16 autocast; inkling writes and trains in both precisions too, and each is held against the same one.
What counts is the better of eager and compiled, by a run of each after the first.

With `--device cuda` (not yet run) both sides compute on a CUDA device: build and name compare_side_cuda, which takes what
`--graphs` says, and torch.compile then uses CUDA graphs. Without bfloat16 both multiply in single precision, not TF32.

A row's share of the peak is the multiply-adds that the text asks for, without padding, over those that the machine does in
registers in the same time (on a CUDA device: in a large product), in single precision: products in bfloat16 can pass it.
That of a training is approximate, as each side draws batches of its own. Peak memory is that of a whole process, libraries included: PyTorch's does this row once and nothing
else, inkling's has made and loaded the model before. That of a CUDA device is not measured.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
from torch.nn import functional

SPECIAL_PAD, SPECIAL_EOS, SPECIAL_BOS = 1, 2, 0


class Side:
    """inkling, in a process of its own."""

    def __init__(self, program, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            sys.exit(f"compare: {do}: {answer['error']}")
        return answer


def on_device(tensor):
    """What was made of the host's memory, where tensors are made by default."""
    return tensor.to(torch.get_default_device())


def matrix_in(path):
    return on_device(torch.from_numpy(numpy.load(path)))


def wait():
    """Until the device has done what it was told."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def read_model(path):
    """A model file's weights by name; it is a safetensors file."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        weights[name] = on_device(torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(entry["shape"]))
    return weights


def attend(query, key, value, heads, mask):
    batch, rows, width = query.shape
    split = lambda x: x.view(batch, x.shape[1], heads, width // heads).transpose(1, 2)
    out = functional.scaled_dot_product_attention(split(query), split(key), split(value), attn_mask=mask)
    return out.transpose(1, 2).reshape(batch, rows, width)


class Layer(torch.nn.Module):
    def __init__(self, width, heads, hidden, cross):
        super().__init__()
        linear = torch.nn.Linear
        self.heads = heads
        self.self_attn = torch.nn.ModuleDict({name: linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.self_attn_layer_norm = torch.nn.LayerNorm(width)
        if cross:
            self.encoder_attn = torch.nn.ModuleDict({name: linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")})
            self.encoder_attn_layer_norm = torch.nn.LayerNorm(width)
        self.fc1, self.fc2 = linear(width, hidden), linear(hidden, width)
        self.final_layer_norm = torch.nn.LayerNorm(width)

    def memory(self, output):
        return self.encoder_attn["k_proj"](output), self.encoder_attn["v_proj"](output)

    def forward(self, x, mask, memory=None, memory_mask=None):
        own = self.self_attn
        x = self.self_attn_layer_norm(x + own["out_proj"](attend(own["q_proj"](x), own["k_proj"](x), own["v_proj"](x), self.heads, mask)))
        if memory is not None:
            other = self.encoder_attn
            x = self.encoder_attn_layer_norm(x + other["out_proj"](attend(other["q_proj"](x), *memory, self.heads, memory_mask)))
        return self.final_layer_norm(x + self.fc2(functional.relu(self.fc1(x))))


class Stack(torch.nn.Module):
    def __init__(self, sizes, cross):
        super().__init__()
        latent, width = sizes["latent"], sizes["width"]
        self.embed_positions = torch.nn.Embedding(1024 + 2, width)
        self.project_in_dim = torch.nn.Linear(latent, width, bias=False)
        self.layers = torch.nn.ModuleList(Layer(width, sizes["heads"], sizes["hidden"], cross) for _ in range(sizes["layers"]))


class Decoder(Stack):
    def __init__(self, sizes):
        super().__init__(sizes, True)
        latent, width = sizes["latent"], sizes["width"]
        self.embed_tokens = torch.nn.Embedding(sizes["vocabulary"], latent)
        self.project_out_dim = torch.nn.Linear(width, latent, bias=False)
        self.embed_length = torch.nn.Embedding(256, width)
        self.embed_norm = torch.nn.LayerNorm(width)
        self.self_cond_proj = torch.nn.Sequential(torch.nn.Linear(2 * width, width), torch.nn.ReLU(), torch.nn.Linear(width, width))
        self.embed_time = torch.nn.Sequential(torch.nn.Linear(width, 4 * width), torch.nn.ReLU(), torch.nn.Linear(4 * width, width))


def mask_of(lengths, rows):
    """[B, 1, 1, rows]: which keys are there; None where all are."""
    there = torch.arange(rows)[None, :] < lengths[:, None]
    return None if bool(there.all()) else there[:, None, None, :]


class Difformer(torch.nn.Module):
    """Difformer's denoiser with the names of the official parameters, over padded batches."""

    def __init__(self, sizes, weights, scale):
        super().__init__()
        self.encoder, self.decoder = Stack(sizes, False), Decoder(sizes)
        self.width, self.scale = sizes["width"], scale
        missing, unexpected = self.load_state_dict(weights, strict=False)
        assert not missing, missing
        assert all(name in ("encoder.embed_tokens.weight", "decoder.output_projection.weight") for name in unexpected), unexpected

    def embed(self, tokens):
        return self.decoder.embed_tokens(tokens) * self.scale

    def encode(self, tokens, lengths):
        """Memory of every decoder layer, its mask, and the mean row."""
        rows = tokens.shape[1]
        x = self.encoder.project_in_dim(self.embed(tokens)) + self.encoder.embed_positions.weight[2 : 2 + rows]
        mask = mask_of(lengths, rows)
        for layer in self.encoder.layers:
            x = layer(x, mask)
        there = (torch.arange(rows)[None, :] < lengths[:, None]).unsqueeze(-1)
        mean = (x * there).sum(1) / lengths[:, None]
        return [layer.memory(x) for layer in self.decoder.layers], mask, mean

    def lengths(self, mean, lengths):
        return (mean @ self.decoder.embed_length.weight.T).argmax(-1) - 128 + lengths

    def time(self, labels):
        half = self.width // 2
        frequencies = torch.exp(-math.log(10000.0) * torch.arange(half) / half)
        angles = labels[:, None] * frequencies[None, :]
        return self.decoder.embed_time(torch.cat([angles.cos(), angles.sin()], -1))

    def forward(self, z_t, previous, time, mask, memory, memory_mask):
        project = self.decoder.project_in_dim
        x = self.decoder.self_cond_proj(torch.cat([project(z_t), project(previous)], -1)) + time[:, None, :]
        x = self.decoder.embed_norm(x + self.decoder.embed_positions.weight[2 : 2 + z_t.shape[1]])
        for layer, own in zip(self.decoder.layers, memory):
            x = layer(x, mask, own, memory_mask)
        return self.decoder.project_out_dim(x)

    def readout(self, z):
        return z @ self.decoder.embed_tokens.weight.T


def batches_by_length(lengths, tokens_per_batch, candidates):
    """Numbers of sentences of like length, so many that their padded candidates fit."""
    batch = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * candidates * (lengths[i] + 2) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def pad(rows, width=None):
    longest = width or max(map(len, rows))
    return torch.tensor([row + [SPECIAL_PAD] * (longest - len(row)) for row in rows])


class PyTorch:
    """The same answers by PyTorch."""

    def __init__(self, model, plan, compiled, bfloat16):
        self.model, self.plan, self.bfloat16 = model, plan, bfloat16
        self.step = model.forward
        if compiled:
            graphs = {"mode": "reduce-overhead"} if torch.get_default_device().type == "cuda" else {"dynamic": True}
            compiled_step = torch.compile(model.forward, **graphs)
            # a CUDA graph writes every result to the same place
            self.step = (lambda *inputs: compiled_step(*inputs).clone()) if "mode" in graphs else compiled_step

    def precision(self):
        return torch.autocast(torch.get_default_device().type, dtype=torch.bfloat16, enabled=self.bfloat16)

    @torch.inference_mode()
    def write(self, sources, noise, offsets, length_beam, tokens_per_batch):
        """Tokens of the best candidate by mean log-probability. noise: rows of all candidates, offsets of each."""
        written = [None] * len(sources)
        lengths = [len(source) for source in sources]
        for batch in batches_by_length(lengths, tokens_per_batch, length_beam):
            with self.precision():
                self.write_batch(sources, batch, noise, offsets, length_beam, written)
        return written

    def write_batch(self, sources, batch, noise, offsets, length_beam, written):
        model = self.model
        texts = [sources[i] + [SPECIAL_EOS] for i in batch]
        source_lengths = torch.tensor([len(text) for text in texts])
        memory, memory_mask, mean = model.encode(pad(texts), source_lengths)
        middle = model.lengths(mean, source_lengths)
        lengths = (middle[:, None] + torch.arange(length_beam)[None, :] - length_beam // 2).clamp(min=2).reshape(-1)
        if length_beam > 1:
            repeat = lambda x: x.repeat_interleave(length_beam, 0)
            memory = [(repeat(key), repeat(value)) for key, value in memory]
            memory_mask = None if memory_mask is None else repeat(memory_mask)
        counts = lengths.tolist()
        rows = max(counts)
        begins = [offsets[batch[at // length_beam] * length_beam + at % length_beam] for at in range(len(counts))]
        own = numpy.concatenate([numpy.arange(begin, begin + count) for begin, count in zip(begins, counts)])
        there = torch.arange(rows)[None, :] < lengths[:, None]
        z = torch.zeros(len(counts), rows, noise.shape[1])
        z[there] = noise[on_device(torch.from_numpy(own))]
        mask = mask_of(lengths, rows)
        times = model.time(torch.tensor([step["label"] for step in self.plan], dtype=torch.float32))
        z0_hat = torch.zeros_like(z)
        for number, step in enumerate(self.plan):
            z0_hat = self.step(z, z0_hat, times[number : number + 1], mask, memory, memory_mask).float()
            z = step["z0"] * z0_hat + step["z_t"] * z
        best, tokens = torch.log_softmax(model.readout(z0_hat).float(), -1).max(-1)
        surety = (best * there).sum(1) / lengths
        chosen = surety.view(-1, length_beam).argmax(1).tolist()
        tokens = tokens.tolist()
        for at, i in enumerate(batch):
            candidate = at * length_beam + chosen[at]
            written[i] = tokens[candidate][: counts[candidate]]

    def loss_of(self, tokens, lengths, sources, source_lengths, a, s, labels, noise, self_condition):
        model = self.model
        with self.precision():
            memory, memory_mask, mean = model.encode(sources, source_lengths)
            z0 = model.embed(tokens)
            z_t = a[:, None, None] * z0 + s[:, None, None] * noise
            mask = mask_of(lengths, tokens.shape[1])
            time = model.time(labels)
            previous = torch.zeros_like(z_t)
            if self_condition:
                with torch.no_grad():
                    previous = self.step(z_t, previous, time, mask, memory, memory_mask).float()
            z0_hat = self.step(z_t, previous, time, mask, memory, memory_mask).float()
            there = torch.arange(tokens.shape[1])[None, :] < lengths[:, None]
            regression = ((z0_hat - z0) ** 2).mean(-1)[there].mean()
            logits = model.readout(z0_hat)[there]
            anchor = functional.cross_entropy(logits.float(), tokens[there], label_smoothing=0.1)
            offset = (lengths - source_lengths + 128).clamp(0, 255)
            length = functional.cross_entropy((mean @ model.decoder.embed_length.weight.T).float(), offset)
        return regression + anchor + 0.1 * length


def texts_of_real_lengths(count, vocabulary, seed):
    """Made-up sentences whose lengths are distributed like those of translated captions and news: about 2 + gamma."""
    random = numpy.random.default_rng(seed)
    lengths = numpy.clip(random.gamma(4.0, 4.0, count).round().astype(int) + 3, 3, 80)
    return [random.integers(4, vocabulary, length).tolist() for length in lengths]


def median_of(times):
    return statistics.median(times)


def multiply_adds_of_layers(sizes, rows, memory_rows=0):
    """Of as many layers as the sizes say, for a sentence of so many rows that looks at itself and at a memory."""
    width = sizes["width"]
    maps = (4 + (2 if memory_rows else 0)) * width * width + 2 * width * sizes["hidden"]
    return sizes["layers"] * (rows * maps + 2 * rows * (rows + memory_rows) * width)


def multiply_adds_of_source(sizes, rows):
    """Encoder, and keys and values for the layers of the decoder."""
    width = sizes["width"]
    return rows * sizes["latent"] * width + multiply_adds_of_layers(sizes, rows) + sizes["layers"] * rows * 2 * width * width


def multiply_adds_of_step(sizes, rows, source_rows):
    width = sizes["width"]
    ends = 3 * sizes["latent"] * width + 3 * width * width  # both inputs, the output; self-conditioning
    return rows * ends + multiply_adds_of_layers(sizes, rows, source_rows)


def multiply_adds_of_readout(sizes, rows):
    return rows * sizes["vocabulary"] * sizes["latent"]


def peak_memory():
    """The most that this process has had at once, in MB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


class Comparison:
    def __init__(self, arguments, sizes_name, sizes):
        self.arguments, self.sizes_name, self.sizes = arguments, sizes_name, sizes
        self.folder = tempfile.TemporaryDirectory()
        self.model_file = str(Path(self.folder.name) / "model.inkling")
        self.noise_file = str(Path(self.folder.name) / "noise.npy")
        self.rows = []

    def start(self, threads):
        """Both sides anew: what a row before this one left in memory, or among compiled functions, is gone."""
        torch._dynamo.reset()
        torch.set_num_threads(threads)
        self.sides = {precision: Side(self.arguments.side, threads) for precision in ("fp32", "bf16")}
        self.side = self.sides["fp32"]
        self.side.ask("make", model=self.model_file, threads=threads, **self.sizes)
        for precision, side in self.sides.items():
            opened = side.ask("open", model=self.model_file, threads=threads, steps=20, bfloat16=precision == "bf16",
                              graphs=self.arguments.graphs)
            if opened["device"] != self.arguments.device:
                sys.exit(f"compare: {self.arguments.side} computes on {opened['device']}, expected {self.arguments.device}")
        self.plan = opened["plan"]
        self.model = Difformer(self.sizes, read_model(self.model_file), opened["scale"])
        self.threads = threads

    def close(self):
        for side in self.sides.values():
            side.close()

    def variants(self):
        for compiled in (False, True):
            for bfloat16 in (False, True):
                if compiled and self.arguments.eager_only:
                    continue
                yield f"{'compiled' if compiled else 'eager'} {'bf16' if bfloat16 else 'fp32'}", PyTorch(self.model, self.plan, compiled, bfloat16)

    @staticmethod
    def best_of(variants, run):
        """The fastest of each precision, by their last runs: the first may compile, and on CUDA devices two more warm up and
        record graphs."""
        seconds = {}
        for key, variant in variants.items():
            for _ in range(4 if torch.get_default_device().type == "cuda" else 2):
                start = time.perf_counter()
                run(key, variant)
                wait()
                seconds[key] = time.perf_counter() - start
        return [min((key for key in variants if key.endswith(precision)), key=seconds.get) for precision in ("fp32", "bf16")]

    def by_turns(self, mine, others):
        """Seconds of each of mine and of each of others, one behind the other, over and over. mine return theirs, and MB."""
        own, theirs, peaks = {key: [] for key in mine}, {key: [] for key in others}, {key: 0.0 for key in mine}
        for _ in range(self.arguments.pairs):
            for key, run in mine.items():
                answer = run()
                own[key].append(answer["seconds"])
                peaks[key] = max(peaks[key], answer["peak_MB"])
            for key, run in others.items():
                start = time.perf_counter()
                run()
                wait()
                theirs[key].append(time.perf_counter() - start)
        return own, theirs, peaks

    def memory_of_pytorch(self, row):
        """Of a process that does the row once, eager in single precision."""
        child = subprocess.run([sys.executable, __file__, "--side", self.arguments.side, "--rows", row, "--sizes", self.sizes_name,
                                "--threads", str(self.threads), "--sentences", str(self.arguments.sentences), "--alone"], stdout=subprocess.PIPE, text=True, check=True)
        return float(child.stdout)

    def report(self, row, name, multiply_adds, own, theirs, peaks):
        """own: seconds by precision; theirs: seconds by variant; peaks: MB by precision."""
        their_memory = self.memory_of_pytorch(row) if self.arguments.device == "cpu" else None
        peak = self.side.ask("peak", threads=self.threads)["flops"]
        for key, times in theirs.items():
            precision = key[-4:] if key[-4:] in own else "fp32"
            mine, own_memory = own[precision], peaks[precision]
            ratios = sorted(other / mine for mine, other in zip(mine, times))
            result = {
                "row": name, "sizes": self.sizes_name, "threads": self.threads, "inkling": precision, "against": f"PyTorch {key}",
                "ratio_min": ratios[0], "ratio_median": median_of(ratios), "ratio_max": ratios[-1],
                "inkling_seconds": median_of(mine), "pytorch_seconds": median_of(times), "pairs": len(mine),
                "share_of_peak": 2 * multiply_adds / median_of(mine) / peak,
            }
            memory = ""
            if their_memory is not None:
                result |= {"inkling_MB": own_memory, "pytorch_MB": their_memory, "memory_ratio": own_memory / their_memory}
                memory = f"   {own_memory:.0f} MB : {their_memory:.0f} MB"
            self.rows.append(result)
            print(f"{name:34s} {self.sizes_name:10s} {self.threads} threads  {precision} against {key:14s} "
                  f"{result['ratio_min']:.2f} / {result['ratio_median']:.2f} / {result['ratio_max']:.2f}   "
                  f"{result['inkling_seconds']:.4f} s : {result['pytorch_seconds']:.4f} s   "
                  f"{100 * result['share_of_peak']:.0f} % of the peak{memory}", flush=True)

    def writing(self, row, name, count, length_beam):
        tokens_per_batch = 4096
        sources = texts_of_real_lengths(max(count, 64), self.sizes["vocabulary"], 3)
        if count == 1:
            sources = sorted(sources, key=len)[len(sources) // 2 :][:1]  # of the median length
        for side in self.sides.values():
            side.ask("texts", sources=sources)
        lengths = [max(2, len(source) + 1 + c - length_beam // 2) for source in sources for c in range(length_beam)]
        self.side.ask("noise", candidates=length_beam, lengths=lengths, file=self.noise_file)
        noise = matrix_in(self.noise_file)
        offsets = numpy.concatenate([[0], numpy.cumsum(lengths)]).tolist()
        write = lambda variant: variant.write(sources, noise, offsets, length_beam, tokens_per_batch)
        variants = dict(self.variants())
        if self.arguments.alone:
            return write(variants["eager fp32"])
        mine = {precision: lambda side=side: side.ask("write", length_beam=length_beam, tokens_per_batch=tokens_per_batch)
                for precision, side in self.sides.items()}
        expected = mine["fp32"]()["tokens"]
        total = sum(map(len, expected))
        share_of_same = lambda seen: sum(a == b for own, other in zip(expected, seen) if len(own) == len(other)
                                         for a, b in zip(own, other)) / total
        shares = {"inkling bf16": share_of_same(mine["bf16"]()["tokens"])}

        def check(key, variant):
            shares[key] = share_of_same(write(variant))

        best = self.best_of(variants, check)
        for key, share in shares.items():
            least = 0.99 if key.endswith("fp32") else 0.9
            if share < least:
                sys.exit(f"compare: {name}, {key}: {share:.3f} of the tokens are the same, expected {least}")
        print(f"{name}, share of tokens that are those of inkling in single precision: "
              + ", ".join(f"{key} {share:.3f}" for key, share in shares.items()))
        own, theirs, peaks = self.by_turns(mine, {key: lambda key=key: write(variants[key]) for key in best})
        sizes = self.sizes
        work = sum(multiply_adds_of_source(sizes, len(source) + 1) for source in sources)
        for at, length in enumerate(lengths):
            work += len(self.plan) * multiply_adds_of_step(sizes, length, len(sources[at // length_beam]) + 1)
            work += multiply_adds_of_readout(sizes, length)
        self.report(row, name, work, own, theirs, peaks)

    def training(self, row, name, tokens_per_batch):
        texts = texts_of_real_lengths(2000, self.sizes["vocabulary"], 5)
        random = numpy.random.default_rng(7)
        batches, batch, size = [], [], 0
        for i in random.permutation(len(texts)):
            if size + len(texts[i]) + 2 > tokens_per_batch:
                batches.append(batch)
                batch, size = [], 0
            batch.append(texts[i])
            size += len(texts[i]) + 2
        timed = 4
        variants = dict(self.variants())
        optimizers = {}

        def update(key, batch, number):
            variant = variants[key]
            if key not in optimizers:
                optimizers[key] = torch.optim.AdamW(variant.model.parameters(), lr=1e-5)
            targets = [[SPECIAL_BOS] + text + [SPECIAL_EOS] for text in batch]
            sources = [text + [SPECIAL_EOS] for text in batch]
            tokens = pad(targets)
            count = len(batch)
            t = torch.rand(count)
            alpha_bar = 1 - torch.sqrt(t * 0.9999 + 0.0001)
            loss = variant.loss_of(tokens, torch.tensor([len(x) for x in targets]), pad(sources), torch.tensor([len(x) for x in sources]),
                                   alpha_bar.sqrt(), 4.0 * (1 - alpha_bar).sqrt(), 1000 * t,
                                   torch.randn(*tokens.shape, self.sizes["latent"]), number % 2 == 1)
            optimizers[key].zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(variant.model.parameters(), 1.0)
            optimizers[key].step()

        def updates(key):
            for number in range(timed):
                update(key, batches[number % len(batches)], number)

        if self.arguments.alone:
            return updates("eager fp32")
        for precision in self.sides:
            self.check_loss(precision, texts[:32])
        for side in self.sides.values():
            side.ask("texts", sources=texts)
        best = self.best_of(variants, lambda key, variant: updates(key))

        def mine(side):
            answer = side.ask("train", warm=2, timed=timed, tokens_per_batch=tokens_per_batch)
            return answer | {"seconds": timed * answer["seconds"]}

        own, theirs, peaks = self.by_turns({precision: lambda side=side: mine(side) for precision, side in self.sides.items()},
                                           {key: lambda key=key: updates(key) for key in best})
        sizes, work = self.sizes, 0
        for number, batch in enumerate(batches[:timed]):
            for text in batch:
                step = multiply_adds_of_step(sizes, len(text) + 2, len(text) + 1)
                work += 3 * (multiply_adds_of_source(sizes, len(text) + 1) + step + multiply_adds_of_readout(sizes, len(text) + 2))
                work += step if number % 2 == 1 else 0
        self.report(row, name, work, own, theirs, peaks)

    def check_loss(self, precision, texts):
        """Both sides must find the same loss for the same noise: PyTorch in single precision, inkling in either."""
        side = self.sides[precision]
        side.ask("open", model=self.model_file, threads=self.threads, steps=20, bfloat16=precision == "bf16",
                 graphs=self.arguments.graphs)
        side.ask("texts", sources=texts)
        answer = side.ask("loss", file=self.noise_file)
        drawn = matrix_in(self.noise_file)
        targets = [[SPECIAL_BOS] + text + [SPECIAL_EOS] for text in texts]
        sources = [text + [SPECIAL_EOS] for text in texts]
        tokens = pad(targets)
        noise = torch.zeros(*tokens.shape, drawn.shape[1])
        begin = 0
        for i, target in enumerate(targets):
            noise[i, : len(target)] = drawn[begin : begin + len(target)]
            begin += len(target)
        a, s, labels = (torch.tensor(column, dtype=torch.float32) for column in zip(*answer["levels"]))
        fresh = Difformer(self.sizes, read_model(self.model_file), self.model.scale)
        variant = PyTorch(fresh, self.plan, False, False)
        with torch.no_grad():
            loss = float(variant.loss_of(tokens, torch.tensor([len(x) for x in targets]), pad(sources),
                                         torch.tensor([len(x) for x in sources]), a, s, labels, noise, False))
        if abs(loss - answer["loss"]) > (1e-4 if precision == "fp32" else 1e-2) * abs(answer["loss"]):
            sys.exit(f"compare: training: the losses are {answer['loss']} and {loss}, expected the same")

    def rounding(self, row, name, rows):
        expected = self.side.ask("readout", rows=rows, file=self.noise_file)["tokens"]
        z = matrix_in(self.noise_file)
        with torch.inference_mode():
            round_off = lambda: self.model.readout(z).argmax(-1)
            if self.arguments.alone:
                return round_off()
            seen = round_off().tolist()
            if sum(a == b for a, b in zip(expected, seen)) < 0.999 * rows:
                sys.exit(f"compare: {name}: the tokens differ")
            mine = {"fp32": lambda: self.side.ask("readout", rows=rows, file=self.noise_file)}
            own, theirs, peaks = self.by_turns(mine, {"eager fp32": round_off})
        self.report(row, name, multiply_adds_of_readout(self.sizes, rows), own, theirs, peaks)


SIZES = {
    "difformer": {"vocabulary": 8000, "latent": 128, "width": 512, "layers": 6, "heads": 4, "hidden": 1024},
    "demo": {"vocabulary": 300, "latent": 64, "width": 128, "layers": 2, "heads": 4, "hidden": 512},
    "rounding": {"vocabulary": 32000, "latent": 128, "width": 256, "layers": 1, "heads": 4, "hidden": 128},  # a width that is not latent's is projected, as the sides expect
}


ROWS = {
    "one": ("one sentence, 20 steps", lambda comparison, *row: comparison.writing(*row, 1, 1)),
    "some": ("64 sentences", lambda comparison, *row: comparison.writing(*row, 64, 1)),
    "many": ("{sentences} sentences, length beam 5", lambda comparison, *row: comparison.writing(*row, comparison.arguments.sentences, 5)),
    "train2k": ("4 updates of 2k tokens", lambda comparison, *row: comparison.training(*row, 2048)),
    "train8k": ("4 updates of 8k tokens", lambda comparison, *row: comparison.training(*row, 8192)),
    "rounding": ("rounding, vocabulary 32k", lambda comparison, *row: comparison.rounding(*row, 4096)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", required=True, help="the program compare_side")
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument("--rows", default=",".join(ROWS), help="of %(default)s")
    parser.add_argument("--sizes", default="difformer,demo", help="of %(default)s; rounding has sizes of its own")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what both sides compute on (%(default)s)")
    parser.add_argument("--graphs", action="store_true", help="inkling launches the steps of a generation as CUDA graphs")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1000, help="of the row many (1000)")
    parser.add_argument("--eager-only", action="store_true", help="without torch.compile")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # PyTorch's side of one row, for its memory
    arguments = parser.parse_args()
    wanted = [(sizes, row) for sizes in arguments.sizes.split(",") for row in arguments.rows.split(",") if row != "rounding"]
    if "rounding" in arguments.rows.split(","):
        wanted.append(("rounding", "rounding"))
    unknown = [name for names, known in ((arguments.sizes, SIZES), (arguments.rows, ROWS)) for name in names.split(",") if name not in known]
    if unknown:
        parser.error(f"there is no row or size '{unknown[0]}'")
    torch.set_default_device(arguments.device)
    if arguments.device == "cuda":
        arguments.threads = "1"
    if not arguments.alone:
        print(f"PyTorch {torch.__version__}; ratios are PyTorch's time over inkling's, min / median / max of {arguments.pairs} pairs")
    rows = []
    for sizes, row in wanted:
        for threads in map(int, arguments.threads.split(",")):
            comparison = Comparison(arguments, sizes, SIZES[sizes])
            comparison.start(threads)
            name, run = ROWS[row]
            run(comparison, row, name.format(sentences=arguments.sentences))
            comparison.close()
            rows += comparison.rows
            if arguments.json:
                Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.alone:
        print(peak_memory())


if __name__ == "__main__":
    main()
