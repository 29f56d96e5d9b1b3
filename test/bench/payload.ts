/** What every step of the benches returns: 200 bytes as JSON. */
export const output = { text: "The catch lets the wheel turn forward. ".repeat(5).slice(0, 189) };

/** The same, encoded. */
export const outputBytes = new TextEncoder().encode(JSON.stringify(output));
