/** Light or dark: as the system says, unless the user has chosen here. */
import { useState } from "react";

type Theme = "system" | "light" | "dark";

const KEY = "theme";

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}

function apply(theme: Theme): void {
  if (theme === "system") {
    delete document.documentElement.dataset["theme"];
  } else {
    document.documentElement.dataset["theme"] = theme;
  }
}

/** Applies what was chosen earlier, before anything is drawn. */
export function applyTheme(): void {
  apply(stored());
}

/** Returns whether the page is dark, and a function that changes it. */
export function useTheme(): [boolean, () => void] {
  const [theme, setTheme] = useState<Theme>(stored);
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const isDark = theme === "dark" || (theme === "system" && systemIsDark);
  const toggle = (): void => {
    const next: Theme = isDark === systemIsDark ? (isDark ? "light" : "dark") : "system";
    if (next === "system") {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, next);
    }
    apply(next);
    setTheme(next);
  };
  return [isDark, toggle];
}
