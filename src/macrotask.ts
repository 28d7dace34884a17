/** How a long loop lets others in; training and generation wait for it. */

/**
 * Lets events in (a click, Ctrl-C): on a backend that computes in this thread, awaiting a result lets in none. A message is not
 * slowed down in background tabs as timers are.
 */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
