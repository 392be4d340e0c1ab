import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The built page is committed and part of the wheel: no source maps, and the same sources give the same bytes.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/orchestrator/server/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: "licenses.md" },
  },
});
