// Light and dark: the reader's system decides until the button is pressed.

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
let theme = doc.themes.light;

function wear(name) {
  theme = doc.themes[name];
  root.dataset.theme = name;
  for (const key of ["paper", "ink", "muted", "frame", "data", "model", "fill"]) {
    root.style.setProperty(`--${key}`, theme[key]);
  }
  document.getElementById("theme").textContent = name === "dark" ? "Light page" : "Dark page";
}

// Calls `changed` after every change of the theme.
function watchTheme(changed) {
  let chosen = null;
  const apply = () => {
    wear(chosen ?? (darkSystem.matches ? "dark" : "light"));
    changed();
  };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    apply();
  });
  darkSystem.addEventListener("change", apply);
  apply();
}
