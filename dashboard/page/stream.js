// The connection to the sidecar: frames as they come, and whether they do.
//
// Invariant: exactly one stream is open or being opened; after every opening the past is asked for again, so that a
// break leaves no hole in the time lines.

const SILENT_AFTER = 4000;
const GIVE_UP_AFTER = 20000;
const RETRY_EVERY = 3000;

/** Opens the stream. Calls `onFrame(frame)`, `onHistory(history)` and `onState("live" | "reconnecting" | "ended")`; `window()` is
    how many milliseconds of the past are wanted. Returns a function that asks for them again. */
export function connect({ onFrame, onHistory, onState, window }) {
  let source = null;
  let lastFrame = performance.now();
  let state = "";

  function tell(next) {
    if (next !== state) onState((state = next));
  }

  async function past() {
    try {
      const answer = await fetch(`/api/history?last=${window()}&step=${Math.round(window() / 600)}`);
      if (answer.ok) onHistory(await answer.json());
    } catch {
      // The stream says that the sidecar is away; the next opening asks again.
    }
  }

  function open() {
    source?.close();
    source = new EventSource("/api/stream");
    source.addEventListener("open", past);
    source.addEventListener("frame", (event) => {
      lastFrame = performance.now();
      tell("live");
      onFrame(JSON.parse(event.data));
    });
  }

  open();
  tell("reconnecting");
  setInterval(() => {
    const silence = performance.now() - lastFrame;
    if (silence < SILENT_AFTER) return;
    tell(silence > GIVE_UP_AFTER ? "ended" : "reconnecting");
    // A browser gives up for good after an HTTP error, and never notices a peer that went silent.
    if (source.readyState === EventSource.CLOSED || (source.readyState === EventSource.OPEN && silence > 2 * SILENT_AFTER)) open();
  }, RETRY_EVERY);
  return past;
}
