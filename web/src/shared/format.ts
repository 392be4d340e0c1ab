/** Numbers, times and amounts as text, with their units. */

const WHOLE = new Intl.NumberFormat("en-US");
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY_OF_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** `12,400`. */
export function count(number: number): string {
  return WHOLE.format(number);
}

/** `1 step`, `12,400 tokens`. */
export function plural(number: number, noun: string, nouns = `${noun}s`): string {
  return `${count(number)} ${number === 1 ? noun : nouns}`;
}

/** `0.3 s`, `42 s`, `3 min 20 s`, `5 h 3 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 0.095) {
    return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  }
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const [minutes, hours, days] = [Math.floor(whole / 60), Math.floor(whole / 3600), Math.floor(whole / 86_400)];
  if (minutes < 60) {
    return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
  }
  if (hours < 48) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  }
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/** `$12.40`, `$0.0031`: two significant digits of small amounts. */
export function money(usd: number): string {
  if (usd === 0) {
    return "$0";
  }
  if (usd >= 0.995) {
    return `$${new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(usd)}`;
  }
  const places = Math.min(8, Math.max(2, 1 - Math.floor(Math.log10(usd))));
  return `$${usd.toFixed(places)}`;
}

/** What model calls cost: at least so much where the price of some is unknown; empty without any calls. */
export function cost(spending: { cost: number | null; known_cost: number; model_calls: number }): string {
  if (spending.model_calls === 0) {
    return "";
  }
  return spending.cost === null ? `≥ ${money(spending.known_cost)}` : money(spending.cost);
}

/** `1.2 kB`, `3.4 MB`. */
export function bytes(size: number): string {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  let amount = size;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${count(size)} bytes` : `${amount.toFixed(1)} ${units[unit]}`;
}

/** `just now`, `40 s ago`, `14:05`, `3 Nov`; times of today as `12 min ago` or `3 h ago`. `at` in seconds. */
export function ago(at: number, now: number): string {
  const seconds = now - at;
  if (seconds < 5) {
    return "just now";
  }
  if (seconds < 60) {
    return `${Math.floor(seconds)} s ago`;
  }
  if (seconds < 3600) {
    return `${Math.floor(seconds / 60)} min ago`;
  }
  const then = new Date(at * 1000);
  const today = new Date(now * 1000);
  if (seconds < 86_400 && then.getDate() === today.getDate()) {
    return `${Math.floor(seconds / 3600)} h ago`;
  }
  if (seconds < 7 * 86_400) {
    return `${DAY.format(then)}, ${CLOCK.format(then)}`;
  }
  return (then.getFullYear() === today.getFullYear() ? DAY : DAY_OF_YEAR).format(then);
}

/** The exact local time with its zone. `at` in seconds since the epoch. */
export function exactTime(at: number): string {
  return EXACT.format(at * 1000);
}

/** `in 5 min`, or `now` when it has passed. */
export function until(at: number, now: number): string {
  return at <= now ? "now" : `in ${duration(at - now)}`;
}
