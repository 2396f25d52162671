// A recurrent network for each task, a series up to some place, learned and followed by one group. The arithmetic and its order are
// the CPU's (src/lstm): every sum is a chain of fused multiply-adds. Parameters, moments and steps of a window lie in memory, where
// the caches hold them; the state and the gates of a batch are shared. Bound by the units, and by how many groups there are.
#define GATES (4u * HIDDEN)
#define HEAD (HIDDEN + LAGS + 1u)
// Places in the parameters.
#define INPUT (HIDDEN * GATES)
#define BIAS (INPUT + GATES)
#define HEADS (BIAS + GATES)
#define COUNT (HEADS + HEAD)
// A row of the state in shared memory; whole vectors, in other banks from row to row.
#define STRIDE (HIDDEN + 4u)
// Items of the gates of one row, and how many rows are summed up in registers.
#define SIDES (BLOCK / GATES)
#define TOGETHER 8u
// A step of a window: gates, memory, and the memory bent.
#define CELL (ROWS * GATES)
#define BENT (CELL + ROWS * HIDDEN)
#define MOMENT (BENT + ROWS * HIDDEN)
// What a round goes on with: memory, state, last inputs, sums.
#define WALK (ROWS * (HIDDEN + STRIDE + LAGS + 2u))
// What a task is: its first value, how many it has, how many come before those held back, inputs of a window, differences, and how far to
// look ahead.
#define TASK 6u
// How a task is: looks without a gain, and whether it is done.
#define STATE 2u

DEVICE f32 lstm_exp(f32 x) {
  const f32 rounded = fma_f32(x, 1.44269504f, 12582912.0f);
  const f32 k = rounded - 12582912.0f;
  const f32 r = fma_f32(k, 2.1219444e-4f, fma_f32(k, -0.693359375f, x));
  f32 sum = fma_f32(r, 1.0f / 720.0f, 1.0f / 120.0f);
  sum = fma_f32(r, sum, 1.0f / 24.0f);
  sum = fma_f32(r, sum, 1.0f / 6.0f);
  sum = fma_f32(r, sum, 0.5f);
  sum = fma_f32(r, sum, 1.0f);
  sum = fma_f32(r, sum, 1.0f);
  return sum * AS_F32((AS_U32(rounded) - 0x4b400000u + 127u) << 23);
}

DEVICE f32 lstm_logistic(f32 x) {
  x = x > 80.0f ? 80.0f : x;
  x = x < -80.0f ? -80.0f : x;
  return 1.0f / (1.0f + lstm_exp(-x));
}

DEVICE f32 lstm_tanh(f32 x) { return fma_f32(2.0f, lstm_logistic(2.0f * x), -1.0f); }

DEVICE u64 lstm_random(u64 seed, u64 counter) {
  u64 z = seed + (counter + 1u) * (((u64)0x9e3779b9u << 32) | 0x7f4a7c15u);
  z = (z ^ (z >> 30)) * (((u64)0xbf58476du << 32) | 0x1ce4e5b9u);
  z = (z ^ (z >> 27)) * (((u64)0x94d049bbu << 32) | 0x133111ebu);
  return z ^ (z >> 31);
}

DEVICE u32 lstm_place(u64 random, u32 count) { return (u32)(((random >> 32) * count) >> 32); }

// One step of all rows: their inputs `x` and state `h`; `held` is the memory before, which is zeros where `begun` is 0, and `cells` that
// after. Where `kept`, what the way back needs is written to `moment`. All items call it.
DEVICE void lstm_forward(u32 t, GLOBAL const f32 *p, LOCAL const f32 *x, LOCAL f32 *h, LOCAL f32 *z, u32 begun,
                         GLOBAL const f32 *held, GLOBAL f32 *cells, GLOBAL f32 *moment, u32 kept) {
  const u32 gate = t % GATES;
  for (u32 from = t / GATES * TOGETHER; from < ROWS; from += SIDES * TOGETHER) {
    f32 sums[TOGETHER];
    for (u32 k = 0; k < TOGETHER; k++) sums[k] = fma_f32(x[from + k], p[INPUT + gate], p[BIAS + gate]);
#pragma unroll 2
      for (u32 u = 0; u < HIDDEN; u++) {
      const f32 w = p[u * GATES + gate];
      for (u32 k = 0; k < TOGETHER; k++) sums[k] = fma_f32(h[(from + k) * STRIDE + u], w, sums[k]);
    }
    for (u32 k = 0; k < TOGETHER; k++) z[(from + k) * GATES + gate] = sums[k];
  }
  group_barrier();
  for (u32 i = t; i < ROWS * HIDDEN; i += BLOCK) {
    const u32 row = i / HIDDEN, u = i % HIDDEN, g = row * GATES + u;
    const f32 input = lstm_logistic(z[g]), forget = lstm_logistic(z[g + HIDDEN]);
    const f32 candidate = lstm_tanh(z[g + 2u * HIDDEN]), output = lstm_logistic(z[g + 3u * HIDDEN]);
    const f32 cell = fma_f32(forget, begun != 0u ? held[i] : 0.0f, input * candidate);
    const f32 bent = lstm_tanh(cell);
    cells[i] = cell;
    h[row * STRIDE + u] = output * bent;
    if (kept != 0u) {
      moment[g] = input;
      moment[g + HIDDEN] = forget;
      moment[g + 2u * HIDDEN] = candidate;
      moment[g + 3u * HIDDEN] = output;
      moment[BENT + i] = bent;
    }
  }
  group_barrier();
}

// What the head says of a row, from what it says of the last inputs.
DEVICE f32 lstm_prediction(GLOBAL const f32 *head, LOCAL const f32 *state, f32 value) {
#pragma unroll 2
  for (u32 u = 0; u < HIDDEN; u++) value = fma_f32(head[u], state[u], value);
  return value;
}

// The same for a row whose last input is `*last`.
DEVICE f32 lstm_prediction_after(GLOBAL const f32 *head, LOCAL const f32 *state, GLOBAL const f32 *last) {
  f32 value = head[HEAD - 1u];
  for (u32 k = 0; k < LAGS; k++) value = fma_f32(head[HIDDEN + k], *(last - k), value);
  return lstm_prediction(head, state, value);
}

// Steps of learning, from `from` up to `to`.
KERNEL lstm_learn(u32 from, u32 to, u64 seed, GLOBAL const f32 *RESTRICT lengths, GLOBAL const u32 *RESTRICT tasks,
                  GLOBAL const f32 *RESTRICT values, GLOBAL const f32 *RESTRICT start, GLOBAL f32 *parameters, GLOBAL f32 *turns,
                  GLOBAL f32 *firsts, GLOBAL f32 *seconds, GLOBAL f32 *gradients, GLOBAL f32 *moments, GLOBAL f32 *slopes,
                  GLOBAL const u32 *states) {
  SHARED f32 h[ROWS * STRIDE] ALIGNED(16);
  SHARED f32 z[ROWS * GATES] ALIGNED(16);
  SHARED f32 by_hidden[ROWS * HIDDEN];
  SHARED f32 by_cell[ROWS * HIDDEN];
  SHARED f32 x[ROWS];
  SHARED f32 slope[ROWS];
  SHARED u32 places[ROWS];
  const u32 t = local_id(), task = group_id(), gate = t % GATES, side = t / GATES;
  if (states[task * STATE + 1u] != 0u) return;
  GLOBAL const u32 *of = tasks + task * TASK;
  GLOBAL const f32 *w = values + of[0];
  const u32 window = of[3];
  GLOBAL f32 *p = parameters + (u64)task * COUNT, *turned = turns + (u64)task * INPUT;
  GLOBAL f32 *moment = moments + (u64)task * WINDOW * MOMENT, *own_slopes = slopes + (u64)task * WINDOW * ROWS;
  if (from == 0u) {
    for (u32 i = t; i < COUNT; i += BLOCK) p[i] = start[i];
    group_barrier();
  }
  for (u32 step = from; step < to; step++) {
    for (u32 i = t; i < INPUT; i += BLOCK) turned[i] = p[i % HIDDEN * GATES + i / HIDDEN];
    for (u32 i = t; i < ROWS * STRIDE; i += BLOCK) h[i] = 0.0f;
    if (t < ROWS) places[t] = lstm_place(lstm_random(seed, (u64)step * ROWS + t), of[2] - window - LAGS + 1u) + LAGS - 1u;
    for (u32 at = 0; at < window; at++) {
      GLOBAL f32 *now = moment + (u64)at * MOMENT, *before = at == 0u ? now : now - MOMENT;
      if (t < ROWS) x[t] = w[places[t] + at];
      group_barrier();
      lstm_forward(t, p, x, h, z, at, before + CELL, now + CELL, now, 1u);
      if (t < ROWS) {
        f32 value = 0.0f;
        if (at >= window / 4u) {
          GLOBAL const f32 *last = w + places[t] + at;
          value = 2.0f / (f32)(ROWS * (window - window / 4u)) * (lstm_prediction_after(p + HEADS, h + t * STRIDE, last) - last[1]);
        }
        own_slopes[at * ROWS + t] = value;
      }
    }
    // Back: an item has the recurrent weights of a gate by some units, and one of the others.
    f32 own[HIDDEN / SIDES];
    f32 other = 0.0f, of_head = 0.0f;
    for (u32 k = 0; k < HIDDEN / SIDES; k++) own[k] = 0.0f;
    for (u32 i = t; i < ROWS * HIDDEN; i += BLOCK) by_hidden[i] = by_cell[i] = 0.0f;
    for (u32 at = window; at-- > 0u;) {
      GLOBAL const f32 *m = moment + (u64)at * MOMENT;
      GLOBAL const f32 *before = moment + (u64)(at == 0u ? 0u : at - 1u) * MOMENT;
      group_barrier();
      if (t < ROWS) {
        x[t] = w[places[t] + at];
        slope[t] = own_slopes[at * ROWS + t];
      }
      group_barrier();
      for (u32 i = t; i < ROWS * HIDDEN; i += BLOCK) {
        const u32 row = i / HIDDEN, u = i % HIDDEN, g = row * GATES + u;
        const f32 input = m[g], forget = m[g + HIDDEN], candidate = m[g + 2u * HIDDEN], output = m[g + 3u * HIDDEN];
        const f32 bent = m[BENT + i], last = at > 0u ? before[CELL + i] : 0.0f;
        const f32 hidden = fma_f32(slope[row], p[HEADS + u], by_hidden[i]);
        const f32 cell = fma_f32(hidden * output, fma_f32(bent, -bent, 1.0f), by_cell[i]);
        z[g] = cell * candidate * (input * (1.0f - input));
        z[g + HIDDEN] = cell * last * (forget * (1.0f - forget));
        z[g + 2u * HIDDEN] = cell * input * fma_f32(candidate, -candidate, 1.0f);
        z[g + 3u * HIDDEN] = hidden * bent * (output * (1.0f - output));
        by_cell[i] = cell * forget;
        h[row * STRIDE + u] = output * bent;
      }
      group_barrier();
      if (t < HIDDEN) {
#pragma unroll 2
        for (u32 row = 0; row < ROWS; row++) of_head = fma_f32(slope[row], h[row * STRIDE + t], of_head);
      } else if (t < HIDDEN + LAGS) {
#pragma unroll 2
        for (u32 row = 0; row < ROWS; row++) of_head = fma_f32(slope[row], w[places[row] + at - (t - HIDDEN)], of_head);
      } else if (t < HEAD) {
#pragma unroll 2
        for (u32 row = 0; row < ROWS; row++) of_head += slope[row];
      }
      if (side == 0u) {
#pragma unroll 2
        for (u32 row = 0; row < ROWS; row++) other = fma_f32(z[row * GATES + gate], x[row], other);
      } else if (side == 1u) {
#pragma unroll 2
        for (u32 row = 0; row < ROWS; row++) other += z[row * GATES + gate];
      }
      if (at == 0u) break;
      group_barrier();
      for (u32 i = t; i < ROWS * HIDDEN; i += BLOCK) {
        const u32 row = i / HIDDEN, u = i % HIDDEN;
        h[row * STRIDE + u] = before[row * GATES + 3u * HIDDEN + u] * before[BENT + i];
      }
      group_barrier();
#pragma unroll 2
      for (u32 row = 0; row < ROWS; row++) {
        const f32 by_gate = z[row * GATES + gate];
        for (u32 k = 0; k < HIDDEN / SIDES; k++)
          own[k] = fma_f32(h[row * STRIDE + side * (HIDDEN / SIDES) + k], by_gate, own[k]);
      }
      f32 sums[ROWS * HIDDEN / BLOCK];
      for (u32 k = 0; k < ROWS * HIDDEN / BLOCK; k++) sums[k] = 0.0f;
#pragma unroll 2
      for (u32 g = 0; g < GATES; g++) {
        const f32 back = turned[g * HIDDEN + t % HIDDEN];
        for (u32 k = 0; k < ROWS * HIDDEN / BLOCK; k++)
          sums[k] = fma_f32(z[(t / HIDDEN + k * (BLOCK / HIDDEN)) * GATES + g], back, sums[k]);
      }
      for (u32 k = 0; k < ROWS * HIDDEN / BLOCK; k++) by_hidden[t + k * BLOCK] = sums[k];
    }
    GLOBAL f32 *gradient = gradients + (u64)task * COUNT;
    for (u32 k = 0; k < HIDDEN / SIDES; k++) gradient[(side * (HIDDEN / SIDES) + k) * GATES + gate] = own[k];
    if (side < 2u) gradient[INPUT + side * GATES + gate] = other;
    if (t < HEAD) gradient[HEADS + t] = of_head;
    group_barrier();
    // The norm, in as many chains as there are gates, then in pairs.
    if (t < GATES) {
      f32 sum = 0.0f;
      for (u32 i = t; i < COUNT; i += GATES) sum = fma_f32(gradient[i], gradient[i], sum);
      z[t] = sum;
    }
    group_barrier();
    for (u32 s = GATES / 2u; s > 0u; s >>= 1) {
      if (t < s) z[t] += z[t + s];
      group_barrier();
    }
    const f32 norm = sqrt_f32(z[0]);
    const f32 cut = norm > 1.0f ? 1.0f / norm : 1.0f;
    GLOBAL f32 *first = firsts + (u64)task * COUNT, *second = seconds + (u64)task * COUNT;
    for (u32 i = t; i < COUNT; i += BLOCK) {
      const f32 g = gradient[i] * cut;
      const f32 m = fma_f32(0.9f, first[i], (1.0f - 0.9f) * g);
      const f32 v = fma_f32(0.999f, second[i], (1.0f - 0.999f) * (g * g));
      first[i] = m;
      second[i] = v;
      p[i] = fma_f32(-lengths[2u * step], m / (sqrt_f32(v) + lengths[2u * step + 1u]), p[i]);
    }
    group_barrier();
  }
}

// A look at the values that were held back, after `step` steps; parameters that gain are kept.
KERNEL lstm_look(u32 step, u32 patience, GLOBAL const u32 *RESTRICT tasks, GLOBAL const f32 *RESTRICT values,
                 GLOBAL const f32 *RESTRICT start, GLOBAL const f32 *RESTRICT parameters, GLOBAL f32 *moments, GLOBAL f32 *errors,
                 GLOBAL u32 *states, GLOBAL f32 *best, GLOBAL f32 *best_errors) {
  SHARED f32 h[ROWS * STRIDE] ALIGNED(16);
  SHARED f32 z[ROWS * GATES] ALIGNED(16);
  SHARED f32 x[ROWS];
  SHARED u32 gain[1];
  const u32 t = local_id(), task = group_id();
  if (states[task * STATE + 1u] != 0u) return;
  GLOBAL const u32 *of = tasks + task * TASK;
  GLOBAL const f32 *w = values + of[0];
  const u32 n = of[1], held = of[2], window = of[3], back = n - held, stretch = (back + ROWS - 1u) / ROWS;
  GLOBAL const f32 *p = step == 0u ? start : parameters + (u64)task * COUNT;
  GLOBAL f32 *moment = moments + (u64)task * WINDOW * MOMENT, *own = errors + task * BACK, *before = best_errors + task * BACK;
  for (u32 i = t; i < ROWS * STRIDE; i += BLOCK) h[i] = 0.0f;
  for (u32 at = 0; at < window - 1u + stretch; at++) {
    if (t < ROWS) {
      const u32 i = held + t * stretch + at - window;
      x[t] = w[i < n - 2u ? i : n - 2u];
    }
    group_barrier();
    lstm_forward(t, p, x, h, z, at, moment, moment, moment, 0u);
    if (at + 1u >= window && t < ROWS) {
      const u32 target = t * stretch + at + 1u - window;
      if (target < back) {
        GLOBAL const f32 *last = w + held + target - 1u;
        own[target] = lstm_prediction_after(p + HEADS, h + t * STRIDE, last) - last[1];
      }
    }
  }
  group_barrier();
  if (t == 0u) {
    // Whether squares of errors became smaller by more than chance would make them.
    GLOBAL u32 *state = states + task * STATE;
    f32 mean = 0.0f, apart = 0.0f;
    for (u32 i = 0; i < back; i++) mean += fma_f32(own[i], -own[i], before[i] * before[i]);
    mean = mean / (f32)back;
    for (u32 i = 0; i < back; i++) {
      const f32 d = fma_f32(own[i], -own[i], before[i] * before[i]) - mean;
      apart = fma_f32(d, d, apart);
    }
    const f32 n = (f32)back;
    gain[0] = step == 0u || (mean > 0.0f && mean * mean * n * (n - 1.0f) > CHANCE * CHANCE * apart) ? 1u : 0u;
    if (gain[0] != 0u) state[0] = 0u;
    else if (++state[0] == patience) state[1] = 1u;
  }
  group_barrier();
  if (gain[0] == 0u) return;
  for (u32 i = t; i < COUNT; i += BLOCK) best[(u64)task * COUNT + i] = p[i];
  for (u32 i = t; i < back; i += BLOCK) before[i] = own[i];
}

// Steps on, from `from` up to `to`, of which those up to the window's end are over what is known. A group has the rows of a round, of which
// the first goes without errors; its state lies in memory between two starts.
KERNEL lstm_ahead(u32 from, u32 to, u32 farthest, u64 seed, GLOBAL const u32 *RESTRICT tasks, GLOBAL const f32 *RESTRICT largest,
                  GLOBAL const f32 *RESTRICT values, GLOBAL const f32 *RESTRICT best, GLOBAL const f32 *RESTRICT best_errors,
                  GLOBAL f32 *walks, GLOBAL f32 *middles, GLOBAL f32 *squares) {
  SHARED f32 h[ROWS * STRIDE] ALIGNED(16);
  SHARED f32 z[ROWS * GATES] ALIGNED(16);
  SHARED f32 x[ROWS];
  SHARED f32 lags[LAGS * ROWS];
  SHARED f32 sums[2u * ROWS];
  SHARED f32 ahead[ROWS];
  const u32 t = local_id(), task = group_id() / ROUNDS;
  GLOBAL const u32 *of = tasks + task * TASK;
  GLOBAL const f32 *w = values + of[0], *p = best + (u64)task * COUNT;
  const u32 n = of[1], window = of[3];
  // The state, the last inputs, sums, and the memory.
  GLOBAL f32 *walk = walks + (u64)group_id() * WALK, *cell = walk + ROWS * (STRIDE + LAGS + 2u);
  for (u32 i = t; i < ROWS * STRIDE; i += BLOCK) h[i] = from == 0u ? 0.0f : walk[i];
  for (u32 i = t; i < ROWS * LAGS; i += BLOCK)
    lags[i] = from == 0u ? w[n - window - 1u - i / ROWS] : walk[ROWS * STRIDE + i];
  for (u32 i = t; i < ROWS * 2u; i += BLOCK) sums[i] = from == 0u ? 0.0f : walk[ROWS * (STRIDE + LAGS) + i];
  const u32 last = window + of[5] - 1u, end = last < to ? last : to;
  for (u32 at = from; at < end; at++) {
    group_barrier();
    if (t < ROWS) {
      if (at < window) {
        for (u32 k = LAGS - 1u; k > 0u; k--) lags[k * ROWS + t] = lags[(k - 1u) * ROWS + t];
        lags[t] = w[n - window + at];
      }
      x[t] = lags[t];
    }
    group_barrier();
    lstm_forward(t, p, x, h, z, at, cell, cell, cell, 0u);
    if (at + 1u < window) continue;
    const u32 step = at + 1u - window;
    if (t < ROWS) {
      f32 value = p[HEADS + HEAD - 1u];
      for (u32 k = 0; k < LAGS; k++) value = fma_f32(p[HEADS + HIDDEN + k], lags[k * ROWS + t], value);
      value = lstm_prediction(p + HEADS, h + t * STRIDE, value);
      if (t > 0u) {
        const u64 drawn = lstm_random(seed, ((u64)1u << 61) + (u64)(group_id() % ROUNDS * ROWS + t) * of[5] + step);
        const f32 error = best_errors[task * BACK + lstm_place(drawn, n - of[2])];
        value += (drawn & 1u) != 0u ? error : -error;
      }
      value = value > largest[task] ? largest[task] : value;
      value = value < -largest[task] ? -largest[task] : value;
      for (u32 k = LAGS - 1u; k > 0u; k--) lags[k * ROWS + t] = lags[(k - 1u) * ROWS + t];
      lags[t] = value;
      for (u32 times = 0; times < of[4]; times++) {
        const f32 sum = sums[times * ROWS + t] + value;
        sums[times * ROWS + t] = sum;
        value = sum;
      }
      ahead[t] = value;
    }
    group_barrier();
    if (t == 0u) {
      f32 sum = 0.0f;
      for (u32 row = 1u; row < ROWS; row++) sum = fma_f32(ahead[row] - ahead[0], ahead[row] - ahead[0], sum);
      if (group_id() % ROUNDS == 0u) middles[(u64)task * farthest + step] = ahead[0];
      squares[(u64)group_id() * farthest + step] = sum;
    }
  }
  group_barrier();
  for (u32 i = t; i < ROWS * STRIDE; i += BLOCK) walk[i] = h[i];
  for (u32 i = t; i < ROWS * LAGS; i += BLOCK) walk[ROWS * STRIDE + i] = lags[i];
  for (u32 i = t; i < ROWS * 2u; i += BLOCK) walk[ROWS * (STRIDE + LAGS) + i] = sums[i];
}
