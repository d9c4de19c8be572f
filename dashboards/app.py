"""The dashboard of a run: `streamlit run dashboards/app.py -- RUN`, or the folder in TRIALTWIN_RUN."""

import streamlit as st

from dashboards.chart import STYLE
from dashboards.page import OPEN

PAGES = ("Study", "Population", "Responses", "Trial", "Sensitivity", "Twin")

st.set_page_config(page_title="trialtwin", layout="wide")
st.html(STYLE)
pages = [st.Page(f"pages/{name.lower()}.py", title=name, default=name == "Study") for name in PAGES]
chosen = st.navigation(pages, position="hidden")
# Streamlit's own list of pages stays open over the page on a telephone.
with st.container(key="pages", horizontal=True):
    for page in pages:
        st.page_link(page, width="content")
st.session_state[OPEN] = chosen.title
chosen.run()
