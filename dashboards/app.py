"""The dashboard of a run: `streamlit run dashboards/app.py -- RUN`, or the folder in TRIALTWIN_RUN."""

import streamlit as st

st.set_page_config(page_title="trialtwin", layout="wide")
st.navigation([st.Page("pages/results.py", title="Results", default=True)]).run()
