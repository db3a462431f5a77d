// The start of the page: with reduced motion it shows the data, else it plays the reverse process once.

fillWords();
makePanels();
bindSwitches();
drawSignal();
watchTheme(redraw);
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
goTo(still ? 0 : 1);
play(!still);
